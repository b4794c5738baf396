"""Feeds the decoders of runs and of VOC's boxes what a coverage-guided fuzzer makes up, until it is stopped:

    nice -n 10 python -m benchmarks.fuzz_rle -max_total_time=120 -max_len=400

Needs atheris (pip install atheris), which is no requirement of Maskloop. A finding is a file crash-... and a traceback.
"""

import sys

import atheris

with atheris.instrument_imports(include=["core.formats.rle", "core.formats.voc_boxes"]):
    from core.formats.rle import decode_coco, decode_coco_crop, decode_runs, encode_coco, encode_runs, unpack_counts
    from core.formats.voc_boxes import read_boxes

import numpy as np

from core.errors import ReadError


def slow_counts(text: bytes) -> list[int]:
    """COCO's text character by character, as its specification tells it."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            bits = text[at] - 48
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            at, shift = at + 1, shift + 5
            if not more and bits & 0x10:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def fuzz_text(data: bytes) -> None:
    """Compressed runs: the same as the slow way, or a ValueError."""
    try:
        counts = unpack_counts(data)
    except ValueError:
        return
    assert counts.tolist() == slow_counts(data)


def fuzz_coco(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    size = [provider.ConsumeIntInRange(-1, 40), provider.ConsumeIntInRange(-1, 40)]
    if provider.ConsumeBool():
        counts: object = bytes(48 + byte % 64 for byte in provider.ConsumeBytes(60))
    else:
        counts = provider.ConsumeIntListInRange(provider.ConsumeIntInRange(0, 30), -1, 100)
    try:
        region = decode_coco({"size": size, "counts": counts})
    except ValueError:
        return
    crop = decode_coco_crop({"size": size, "counts": counts})
    drawn = np.zeros_like(region)
    drawn[crop.top :, crop.left :][: crop.region.shape[0], : crop.region.shape[1]] = crop.region
    assert np.array_equal(drawn, region)
    assert np.array_equal(decode_coco(encode_coco(region)), region)


def fuzz_rows(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    height, width = provider.ConsumeIntInRange(-1, 40), provider.ConsumeIntInRange(-1, 40)
    texts = provider.ConsumeUnicode(100).split(",")
    try:
        region = decode_runs(texts, height, width)
    except ValueError:
        return
    assert np.array_equal(decode_runs(encode_runs(region), height, width), region)


def fuzz_boxes(data: bytes) -> None:
    try:
        annotation, _ = read_boxes(data, name="a.xml")
    except ReadError:
        return
    assert all(shape.label.strip() for shape in annotation.shapes)


TARGETS = (fuzz_text, fuzz_coco, fuzz_rows, fuzz_boxes)


def fuzz_one(data: bytes) -> None:
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
