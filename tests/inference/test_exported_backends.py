"""The kept model by ONNX Runtime and OpenVINO, in fp32, bfloat16 and int8, against torch on real pictures."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from core.errors import ConfigError, ReadError, UserError
from core.images import read_image
from core.inference import AUTO, BACKENDS, load_backend
from core.inference.exported import BENCH_FILE, PARITY_FILE, exported_folder, int8_file, onnx_file
from core.inference.onnx_backend import OnnxBackend
from core.inference.parity import LEAST_IOU, LEAST_IOU_INT8, compare_logits
from core.inference.predict import predict
from core.inference.trial_tiles import normalised, trial_tiles
from core.networks.card import read_card
from core.project.home import REPOSITORY


@pytest.mark.parametrize("name", ["torch-float32", "torch", "onnx", "openvino-float32", "openvino"])
def test_a_backend_agrees_with_the_network_at_any_size_and_batch(town_model: Path, name: str) -> None:
    backend, reference = load_backend(town_model, name), load_backend(town_model, "torch-eager")
    assert backend.multiple_of == 32
    pairs = []
    for side in (96, 256):
        tiles, real = trial_tiles(town_model, backend.card, side, 3)
        batch = np.concatenate([normalised(tile, backend.card) for tile in tiles])
        assert real
        pairs += [(reference.logits(part), backend.logits(part)) for part in (batch, batch[:1, :, :64])]
    parity = compare_logits(pairs, real_pictures=True)
    assert parity.mask_iou >= (0.99 if name in ("torch", "openvino") else 0.9999)  # bfloat16 on tiny tiles
    assert parity.max_difference < (0.15 if name in ("torch", "openvino") else 1e-3)


@pytest.mark.parametrize("name", ["onnx-int8", "openvino-int8"])
def test_int8_is_smaller_and_nearly_the_same(town_model: Path, name: str) -> None:
    backend, reference = load_backend(town_model, name), load_backend(town_model, "torch-eager")
    tiles, _ = trial_tiles(town_model, backend.card, 512, 4)
    batches = [normalised(tile, backend.card) for tile in tiles]
    parity = compare_logits([(reference.logits(b), backend.logits(b)) for b in batches], real_pictures=True)
    assert 0.985 <= parity.mask_iou < 1  # "offered" is decided by what bench measures
    assert int8_file(town_model).stat().st_size < 0.4 * onnx_file(town_model).stat().st_size


def test_a_whole_picture_is_predicted_alike(town_model: Path) -> None:
    image = read_image(town_model / "pictures" / "town_1.jpg")
    masks = [predict(image, load_backend(town_model, name)).mask for name in ("torch-float32", "onnx")]
    assert (masks[0] == masks[1]).mean() > 0.9999


def test_threads_may_share_one(town_model: Path) -> None:
    backend = load_backend(town_model, "openvino-float32")
    tiles, _ = trial_tiles(town_model, backend.card, 64, 4)
    batches = [normalised(tile, backend.card) for tile in tiles]
    alone = [backend.logits(batch) for batch in batches]
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = backend.logits(batches[number])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, logits in found.items():
        np.testing.assert_array_equal(logits, alone[number])


def test_what_was_exported_says_how_near_it_is_and_ends_with_its_weights(town_model: Path, tmp_path: Path) -> None:
    shutil.copytree(town_model, tmp_path / "copy")
    path = onnx_file(tmp_path / "copy")
    assert path.parent == exported_folder(tmp_path / "copy")
    parity = json.loads((path.parent / PARITY_FILE).read_text())
    assert parity["mask_iou"] >= LEAST_IOU > LEAST_IOU_INT8
    assert parity["real_pictures"]
    weights = tmp_path / "copy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert exported_folder(tmp_path / "copy") != path.parent


def test_no_torch_is_imported_to_serve_what_is_exported(town_model: Path) -> None:
    onnx_file(town_model)
    code = f"""
import sys
from pathlib import Path
import numpy as np
from core.inference import load_backend
from core.inference.predict import predict
for name in ("onnx", "openvino"):
    mask = predict(np.full((100, 80, 3), 90, np.uint8), load_backend(Path({str(town_model)!r}), name)).mask
    assert mask.shape == (100, 80)
assert "torch" not in sys.modules, "torch"
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_auto_takes_what_was_measured_here(town_model: Path, tmp_path: Path) -> None:
    from core.inference.bench import Bench, Measured, fastest, machine

    folder = tmp_path / "copy"
    shutil.copytree(town_model, folder, ignore=shutil.ignore_patterns(BENCH_FILE))
    assert fastest(folder) is None
    assert type(load_backend(folder, AUTO, unmeasured="onnx")).__name__ == "OnnxBackend"
    rows = (
        Measured("torch-eager", 100, 1, 0, 1),
        Measured("onnx-int8", 10, 10, 0.5, 0.98),
        Measured("openvino", 20, 5, 0.1, 0.996),
        Measured("tensorrt", problem="not here"),
    )
    target = exported_folder(folder) / BENCH_FILE
    target.write_text(json.dumps(Bench(machine(), 512, True, rows).to_json()))
    assert fastest(folder) == "openvino"  # int8 is faster, and does not agree
    assert type(load_backend(folder, AUTO)).__name__ == "OpenVinoBackend"
    target.write_text(json.dumps(Bench("another machine", 512, True, rows).to_json()))
    assert fastest(folder) is None
    target.write_text("{")
    assert fastest(folder) is None


def test_what_cannot_be_used_is_said(town_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NVIDIA"):
        load_backend(town_model, "tensorrt")
    with pytest.raises(ReadError, match="not a model"):
        load_backend(tmp_path, "onnx")
    with pytest.raises(ConfigError, match="no backend 'abacus'"):
        load_backend(town_model, "abacus")
    alone = tmp_path / "alone"
    shutil.copytree(town_model, alone, ignore=shutil.ignore_patterns("pictures", INT8))
    with pytest.raises(UserError, match="real pictures"):
        load_backend(alone, "onnx-int8")
    assert "onnx" in BACKENDS


INT8 = "int8.onnx"


def test_an_onnx_file_of_someone_else_is_refused(town_model: Path, tmp_path: Path) -> None:
    import onnx

    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 10])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 10])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "foreign", [value], [result])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "foreign.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"not ONNX at all")
    card = read_card(town_model)
    with pytest.raises(ReadError, match="not the network of its card"):
        OnnxBackend(tmp_path / "foreign.onnx", card)
    with pytest.raises(ReadError, match="cannot be loaded"):
        OnnxBackend(tmp_path / "garbage.onnx", card)
