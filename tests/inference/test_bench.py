from pathlib import Path

import pytest

from core.inference.bench import bench, fastest, read_bench


def test_backends_are_compared_with_the_network_as_it_was_trained(town_model: Path) -> None:
    said: list[float] = []
    found = bench(
        town_model, side=70, names=("onnx", "tensorrt"), rounds=2, progress=lambda share, what: said.append(share)
    )
    base, onnx, tensorrt = found.backends
    assert found.side == 96  # the network's step is 32
    assert found.real_pictures
    assert (base.name, base.ratio, base.mask_iou, base.max_difference) == ("torch-eager", 1, 1, 0)
    assert onnx.agrees
    assert onnx.mask_iou == pytest.approx(1, abs=1e-3)
    assert min(onnx.ms, base.ms, onnx.load_seconds, onnx.memory_mb) > 0
    assert onnx.memory_mb < base.memory_mb  # it holds no torch
    assert "NVIDIA" in tensorrt.problem
    assert not tensorrt.agrees
    assert found.best in ("onnx", "torch-eager")
    assert read_bench(town_model) == found
    assert fastest(town_model) == found.best
    assert said == sorted(said)
    assert said[-1] == 1
