"""Coverage-guided fuzzing of the readers of CVAT's XML and of Label Studio's brush bits: no other error than a
ReadError or ValueError may come out, and no input may take seconds.

    python -m benchmarks.fuzz_xml cvat -max_total_time=120
    python -m benchmarks.fuzz_xml brush -max_total_time=120

Needs the package atheris. What breaks a reader is written to crash-<digest> in the current folder.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["core.formats", "core.annotation", "xml.etree", "defusedxml"]):
    from core.errors import ReadError
    from core.formats.cvat import is_cvat_source, read_cvat
    from core.formats.label_studio_brush import decode_brush, encode_brush
    from core.formats.rle import Crop
    from core.formats.source import source_of_uploads
    from core.images import ImageSize

import numpy as np

_SIZE: Final = ImageSize(12, 16)
_XML: Final = b"""<annotations><version>1.1</version><meta><task><labels><label><name>car</name><color>#ff8000</color>
</label></labels></task></meta><image id="0" name="a/b.png" subset="Train" width="16" height="12">
<polygon label="car" occluded="1" points="1.25,2.00;9.50,2.75;4.00,8.10" z_order="2" group_id="3"/>
<polyline label="car" points="1,2;3,4"/><points label="car" points="1,2"/>
<box label="car" xtl="1.5" ytl="2" xbr="6.25" ybr="8" rotation="12"><attribute name="a">b</attribute></box>
<ellipse label="car" cx="5" cy="6" rx="2.5" ry="1.5" rotation="30"/><cuboid label="car"/><tag label="night"/>
<mask label="car" rle="1, 3" left="4" top="5" width="2" height="2"/></image><track id="0" label="car"/></annotations>"""


def read_xml(data: bytes) -> None:
    """Read `data` as an XML file, all of it."""
    source = source_of_uploads([("annotations.xml", data)])
    is_cvat_source(source)
    try:
        for picture in read_cvat(source, lambda name: None).pictures:
            assert ".." not in picture.picture.split("/")
            assert not picture.picture.startswith("/")
    except ReadError:
        pass


def read_brush(data: bytes) -> None:
    """Read `data` as the bits of a mask."""
    try:
        crop = decode_brush(list(data), _SIZE)
    except ValueError:
        return
    height, width = crop.region.shape
    assert crop.top + height <= _SIZE.height
    assert crop.left + width <= _SIZE.width


TARGETS: Final[Mapping[str, tuple[Callable[[bytes], None], bytes]]] = {
    "cvat": (read_xml, _XML),
    "brush": (read_brush, bytes(encode_brush(Crop(2, 3, np.eye(5, dtype=bool)), _SIZE))),
}


def main() -> None:
    target, seed = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as corpus:
        Path(corpus, "seed").write_bytes(seed)
        atheris.Setup([sys.argv[0], "-timeout=5", "-rss_limit_mb=4096", *sys.argv[2:], corpus], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
