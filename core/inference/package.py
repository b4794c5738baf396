"""A model to take along: one zip that runs anywhere with onnxruntime, with what the QGIS plugin Deepness reads.

model.onnx      probabilities of a window, any batch
model.json      the card; classes.csv: what the numbers in a mask mean
parity.json     how far it is from the network here; speed.json: what was measured on this machine, if anything
examples/       pictures with their masks, which predict.py gives again
predict.py      a short script; README.md
"""

import csv
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from core.annotation.labels import LabelSet
from core.files import write_bytes
from core.formats.mask_png import write_mask_png
from core.images import encode_png
from core.inference.bench import read_bench
from core.inference.model_files import checked_onnx, window_of
from core.inference.onnx_backend import OnnxBackend
from core.inference.parity import Parity
from core.inference.trial_tiles import normalised, trial_tiles
from core.networks.card import CARD_FILE, ModelCard, read_card

_EXAMPLES: Final = 3
_SCRIPT: Final = Path(__file__).parent / "packaged" / "predict.py"


def write_package(folder: Path, target: Path) -> Parity:
    """The Checkpoint in `folder` as the zip `target`. Raises ReadError, ConfigError, UserError as `write_onnx`."""
    card = read_card(folder)
    side = window_of(card)
    with tempfile.TemporaryDirectory() as work:
        onnx = Path(work) / "model.onnx"
        data, parity = checked_onnx(folder, side=side)
        onnx.write_bytes(data)
        backend, buffer = OnnxBackend(onnx, card), io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(onnx, "model.onnx")
            archive.writestr(CARD_FILE, json.dumps(card.to_json(), ensure_ascii=False, indent=2))
            archive.writestr("classes.csv", _classes(card.labels))
            archive.writestr("parity.json", json.dumps(parity.to_json(), indent=2))
            archive.writestr("predict.py", _SCRIPT.read_text(encoding="utf-8"))
            measured = read_bench(folder)
            if measured is not None:
                archive.writestr("speed.json", json.dumps(measured.to_json(), indent=2))
            tiles, real = trial_tiles(folder, card, side, _EXAMPLES)
            for number, tile in enumerate(tiles, 1):
                mask = np.asarray(backend.logits(normalised(tile, card))[0].argmax(axis=0), np.uint8)
                archive.writestr(f"examples/{number}.png", encode_png(tile))
                archive.writestr(f"examples/{number}_mask.png", write_mask_png(mask, card.labels))
            archive.writestr("README.md", _readme(card, parity, side, real=real))
        write_bytes(target, buffer.getvalue())
    return parity


def _classes(labels: LabelSet) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("index", "name"))
    writer.writerows(enumerate(labels.names))
    return text.getvalue()


def _readme(card: ModelCard, parity: Parity, side: int, *, real: bool) -> str:
    mean, std = list(card.normalisation.mean), list(card.normalisation.std)
    names = ", ".join(f"{i} {name}" for i, name in enumerate(card.labels.names))
    iou = card.metrics.get("mean_iou_foreground")
    quality = f"Mean IoU of its labels on its validation pictures: {iou:.3f}.\n" if iou is not None else ""
    origin = "pictures of its project" if real else "made pictures (its project's were not at hand)"
    return f"""# {card.name or "A segmentation model"}, made with Maskloop

Classes: {names}.
{quality}
    pip install onnxruntime numpy pillow
    python predict.py examples/1.png --out masks      # gives the classes of examples/1_mask.png again

- `model.onnx`: input `pictures` (batch, 3, {side}, {side}) float32, RGB values 0 to 255 less {mean} over {std}; output
  `probabilities` (batch, {len(card.labels)}, {side}, {side}). It carries the settings that the QGIS
  plugin Deepness reads.
- Compared with the network in Maskloop on {origin}: probabilities differ by at most {parity.max_difference:.6f}, IoU of
  the masks {parity.mask_iou:.4f}. Maskloop itself blends windows by a Gaussian and cleans masks up as model.json says;
  predict.py averages windows and cleans nothing up.
- 16-bit pictures: bring them to 8 bits first, as the intensity rule in model.json says.
"""
