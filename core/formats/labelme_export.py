"""Writing a data set as a folder that Labelme opens: annotations/, images/ and labels.txt."""

from collections.abc import Iterable
from dataclasses import replace

from core.annotation.labels import BACKGROUND, IGNORE, LabelSet
from core.formats.dataset import Archive, ExportItem
from core.formats.labelme import write_labelme
from core.formats.note import Note

_OWN_KEY = "maskloop"  # state and author in this project, of no use elsewhere


def write_labelme_folder(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """Each Annotation as it is: Labelme's files hold all of it, so nothing is lost."""
    for item in items:
        extra = {key: value for key, value in item.annotation.extra.items() if key != _OWN_KEY}
        data = write_labelme(replace(item.annotation, extra=extra), image_path=f"../images/{item.file_name}")
        archive.add(f"annotations/{item.sample}.json", data)
    names = (IGNORE, BACKGROUND, *(label.name for label in labels.foreground))
    archive.add("labels.txt", "".join(f"{name}\n" for name in names).encode())
    return ()
