"""The package runs where there is no torch and nothing of ours."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ConfigError
from core.inference.bench import bench
from core.inference.ensemble import write_ensemble
from core.inference.model_files import write_onnx, write_tensorrt
from core.inference.package import write_package
from core.networks.card import read_card

_BLOCK = """
import runpy, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "core", "cv2", "openvino", "streamlit", "onnx"):
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Block())
sys.argv = ["predict.py", *sys.argv[1:]]
runpy.run_path("predict.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def package(town_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    assert write_package(town_model, folder / "town.zip").mask_iou > 0.999
    with zipfile.ZipFile(folder / "town.zip") as archive:
        archive.extractall(folder)
    return folder


def test_its_script_gives_its_examples_again(package: Path) -> None:
    names = [f"examples/{i}.png" for i in (1, 2, 3)]
    subprocess.run([sys.executable, "-c", _BLOCK, *names, "--out", "masks"], cwd=package, check=True)
    for i in (1, 2, 3):
        with Image.open(package / f"masks/{i}.png") as found, Image.open(package / f"examples/{i}_mask.png") as told:
            assert np.array_equal(np.asarray(found), np.asarray(told))
            assert np.asarray(found).any()


def test_its_script_takes_pictures_of_any_size(package: Path) -> None:
    random = np.random.default_rng(0)
    for size in ((1, 1), (40, 700), (600, 520)):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(package / "odd.png")
        subprocess.run([sys.executable, "-c", _BLOCK, "odd.png", "--out", "masks"], cwd=package, check=True)
        with Image.open(package / "masks/odd.png") as found:
            assert found.size == size[::-1]


def test_it_tells_programs_and_people_what_it_is(package: Path) -> None:
    import onnxruntime

    texts = onnxruntime.InferenceSession(package / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(texts["model_type"]) == "Segmentor"
    assert list(json.loads(texts["class_names"])) == ["0", "1", "2"]
    assert json.loads(texts["standardization_mean"])[0] == pytest.approx(127 / 255)
    assert json.loads(texts["maskloop_card"])["labels"] == json.loads((package / "model.json").read_text())["labels"]
    assert json.loads((package / "parity.json").read_text())["mask_iou"] > 0.999
    assert (package / "classes.csv").read_text().splitlines()[2] == "1,building"
    assert "onnxruntime" in (package / "README.md").read_text()


def test_what_cannot_be_written_is_said(town_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not installed"):
        write_tensorrt(town_model, tmp_path / "engine")
    write_ensemble(tmp_path / "several", [town_model], read_card(town_model))
    with pytest.raises(ConfigError, match="ensemble"):
        bench(tmp_path / "several")
    with pytest.raises(ConfigError, match="ensemble"):
        write_onnx(tmp_path / "several", tmp_path / "one.onnx")
    assert not (tmp_path / "one.onnx").exists()
