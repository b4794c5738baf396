"""Masks of pictures with the model beside this file. Needs onnxruntime, numpy and pillow, nothing else.

    python predict.py PICTURE ... --out FOLDER

writes FOLDER/<name>.png with the number of the class at each pixel; classes.csv says what the numbers mean.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Masks of pictures.")
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
    card = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
    for path in args.pictures:
        with Image.open(path) as opened:
            picture = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"), np.float32)
        mask = predict(picture, session, card["normalisation"])
        Image.fromarray(mask).save(args.out / f"{path.stem}.png")
        print(path.name, dict(zip(*(part.tolist() for part in np.unique(mask, return_counts=True)), strict=True)))


def predict(picture: np.ndarray[Any, Any], session: Any, normalisation: dict[str, list[float]]) -> np.ndarray[Any, Any]:
    """(H, W, 3) values 0 to 255 -> (H, W) uint8 class numbers: windows that overlap by a fifth, averaged."""
    side, classes = session.get_inputs()[0].shape[2], session.get_outputs()[0].shape[1]
    height, width = picture.shape[:2]
    mean, std = (np.asarray(normalisation[key], np.float32) for key in ("mean", "std"))
    normal = (picture - mean) / std
    normal = np.pad(normal, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="symmetric")
    total = np.zeros((classes, *normal.shape[:2]), np.float32)
    count = np.zeros(normal.shape[:2], np.float32)
    for top in starts(normal.shape[0], side):
        for left in starts(normal.shape[1], side):
            window = (slice(top, top + side), slice(left, left + side))
            batch = np.ascontiguousarray(normal[window].transpose(2, 0, 1))[None]
            total[:, *window] += session.run(None, {session.get_inputs()[0].name: batch})[0][0]
            count[window] += 1
    return np.asarray((total / count).argmax(axis=0)[:height, :width], np.uint8)


def starts(length: int, side: int) -> list[int]:
    """Where windows begin so that they cover `length` and overlap by a fifth or more."""
    steps = -(-(length - side) // (side * 4 // 5))
    return [round(i * (length - side) / max(steps, 1)) for i in range(steps + 1)]


if __name__ == "__main__":
    main()
