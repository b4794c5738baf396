"""Each kind of network as ONNX, against torch: other sizes and batches than the example's."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from core.inference.onnx_export import onnx_model
from core.inference.parity import compare_logits, softmax
from core.networks import build_network
from core.networks.blocks import fold_batch_norms
from core.networks.card import NetworkConfig

KINDS = {
    "transposed": {"up": "transposed"},
    "cbam, strided, group norm, SiLU": {"attention": "cbam", "down": "strided", "norm": "group", "activation": "silu"},
    "instance norm, leaky ReLU": {"norm": "instance", "activation": "leaky_relu", "name": "residual_unet"},
    "early exits": {"supervision": 1, "early_exit": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_what_torch_computes(kind: str) -> None:
    settings: dict[str, Any] = {"name": "unet", "width": 4, "depth": 2, "classes": 3, **KINDS[kind]}
    config = NetworkConfig(**settings)
    network = prepared(config)
    session = onnxruntime.InferenceSession(onnx_model(network, config).SerializeToString())
    for shape in ((1, 3, 32, 48), (3, 3, 64, 16)):
        batch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        (found,) = session.run(None, {"pictures": batch})
        with torch.inference_mode():
            np.testing.assert_allclose(found, network(torch.from_numpy(batch)).numpy(), atol=1e-4)


def test_a_fixed_side_with_probabilities_and_texts() -> None:
    config = NetworkConfig("unet", width=4, depth=2)
    network = prepared(config)
    model = onnx_model(network, config, side=32, probabilities=True, metadata={"class_names": '{"0": "sky"}'})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.get_inputs()[0].shape == ["batch", 3, 32, 32]
    assert session.get_outputs()[0].shape == ["batch", 2, 32, 32]  # square: the QGIS plugin Deepness asks for that
    assert session.get_modelmeta().custom_metadata_map["class_names"] == '{"0": "sky"}'
    batch = np.random.default_rng(0).normal(size=(5, 3, 32, 32)).astype(np.float32)
    (found,) = session.run(None, {"pictures": batch})
    with torch.inference_mode():
        np.testing.assert_allclose(found, softmax(network(torch.from_numpy(batch)).numpy()), atol=1e-4)


def test_parity_counts_what_differs() -> None:
    first = np.zeros((1, 3, 2, 2), np.float32)
    first[0, 1, 0] = 5
    same = compare_logits([(first, first)], real_pictures=True)
    assert (same.max_difference, same.mask_iou) == (0, 1)
    other = first.copy()
    other[0, :, 0, 1] = (5, 0, 0)  # one of two pixels of class 1 became background
    found = compare_logits([(first, other)], real_pictures=True)
    assert found.mask_iou == 0.5
    assert found.max_difference == pytest.approx(float(softmax(first)[0, 1, 0, 0] - softmax(first)[0, 0, 0, 0]))
    nothing = np.zeros((1, 2, 2, 2), np.float32)
    assert compare_logits([(nothing, nothing)], real_pictures=False).mask_iou == 1


def prepared(config: NetworkConfig) -> Any:
    torch.manual_seed(0)
    network = build_network(config)
    for _ in range(5):
        network(torch.randn(2, 3, 32, 32))
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return network
