"""The command line: the contract of verbs, JSON on the last line, exit 2 with message and hint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from core.annotation.labels import LabelSet
from core.images import encode_png
from core.networks import build_network
from core.networks.card import ModelCard, NetworkConfig
from core.networks.checkpoint import save_checkpoint
from core.training.run import read_run

SMALL = ["network.name=unet", "network.width=4", "network.depth=2", "pretrained=false", "tile=32", "batch=4"]


def _disc(seed: int, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on noise, and its mask of class 1."""
    random = np.random.default_rng(seed)
    y, x = random.integers(14, side - 14, 2)
    ys, xs = np.mgrid[0:side, 0:side]
    mask = ((ys - y) ** 2 + (xs - x) ** 2 < 100).astype(np.uint8)
    image = random.integers(0, 60, (side, side, 3)) + 150 * mask[:, :, None]
    return image.astype(np.uint8), mask


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    for part in ("images", "masks"):
        (tmp_path / "set" / part).mkdir(parents=True)
    for seed in range(6):
        image, mask = _disc(seed)
        (tmp_path / "set/images" / f"d{seed}.png").write_bytes(encode_png(image))
        (tmp_path / "set/masks" / f"d{seed}.png").write_bytes(encode_png(mask))
    return tmp_path / "set"


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The JSON of a verb that succeeds."""
    assert main([*map(str, arguments), "--json"]) == 0
    value = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert isinstance(value, dict)
    return value


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a verb that a person can mend says on stderr."""
    assert main([*map(str, arguments)]) == 2
    return capsys.readouterr().err.strip()


def test_the_whole_loop_from_the_command_line(discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "discs"
    assert _run(capsys, "create", project, "--preset", "cell", "--label", "disc")["labels"] == ["disc"]
    assert _run(capsys, "import", project, discs, "--format", "masks")["annotations"] == 6
    told = _run(capsys, "report", project)
    assert told["states"] == {"todo": 0, "doing": 0, "review": 0, "done": 6}
    assert told["objects"] == {"disc": 6}

    settings = [part for text in [*SMALL, "steps_per_epoch=8", "learning_rate=0.01"] for part in ("--set", text)]
    trained = _run(capsys, "train", project, "--epochs", "10", "--seed", "1", *settings)
    assert trained["epochs"] == 10
    assert trained["promoted"] is True

    judged = _run(capsys, "evaluate", project, discs / "images", discs / "masks")
    assert set(judged) >= {"classes", "mean_iou", "micro_iou", "pixel_accuracy", "images", "seconds"}
    assert judged["images"] == 6
    assert set(judged["classes"]) == {"_background_", "disc"}
    assert judged["pixel_accuracy"] > 0.5
    assert [picture["name"] for picture in judged["per_picture"]] == [f"d{seed}.png" for seed in range(6)]
    assert judged["intervals"]["mean_iou"][0] <= judged["mean_iou"] <= judged["intervals"]["mean_iou"][1]
    disc = judged["classes"]["disc"]
    assert {"iou", "dice", "precision", "recall", "boundary", "objects"} <= disc.keys()
    assert disc["objects"]["hits"] + disc["objects"]["misses"] == 6
    assert main(["evaluate", str(project), str(discs / "images"), str(discs / "masks")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("6 pictures: mean IoU over all classes with background 0.")
    assert f"disc: IoU {disc['iou']:.4f} (" in said
    assert "objects: F1" in said

    out = tmp_path / "out"
    made = _run(capsys, "predict", project, discs / "images", "--out", out, "--formats", "mask,overlay,labelme")
    assert len(made["predictions"]) == 6
    assert {path.name for path in out.glob("d0*")} == {"d0.png", "d0_overlay.jpg", "d0.json"}
    assert (out / json.loads((out / "d0.json").read_text())["imagePath"]).resolve() == discs / "images/d0.png"


def test_minutes_alone_train_for_that_long(discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "p"
    _run(capsys, "create", project, "--label", "disc")
    _run(capsys, "import", project, discs, "--format", "masks")
    settings = [part for text in [*SMALL, "steps_per_epoch=1"] for part in ("--set", text)]
    trained = _run(capsys, "train", project, "--minutes", "0.02", *settings)
    assert trained["state"] == "finished"
    assert read_run(Path(trained["run"])).config.epochs > 10_000  # the proposed number of epochs is no limit


def test_a_cross_validation_and_its_ensemble(discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "p"
    _run(capsys, "create", project, "--label", "disc")
    _run(capsys, "import", project, discs, "--format", "masks")
    settings = [part for text in [*SMALL, "steps_per_epoch=2"] for part in ("--set", text)]
    assert "1 folds are not possible" in _refused(capsys, "train", project, "--folds", "1", *settings)
    assert "7 folds need as many groups" in _refused(capsys, "train", project, "--folds", "7", *settings)
    assert not (project / "runs").exists()
    trained = _run(capsys, "train", project, "--folds", "2", "--epochs", "1", *settings)
    assert (trained["state"], trained["done"], trained["of"]) == ("finished", 2, 2)
    assert [fold["pictures"] for fold in trained["table"]["folds"]] == [3, 3]
    assert trained["table"]["pooled"]["measured"]["pictures"] == 6

    out = tmp_path / "out"
    made = _run(capsys, "predict", trained["checkpoint"], discs / "images", "--out", out)
    assert len(made["predictions"]) == 6
    by_project = _run(capsys, "predict", project, discs / "images", "--out", tmp_path / "again")  # the current model
    assert by_project["predictions"][0]["areas"] == made["predictions"][0]["areas"]

    one = read_run(Path(trained["runs"][1]))
    (one.folder / "status.json").write_text('{"state": "interrupted"}')
    (Path(trained["set"]) / "scores.json").unlink()
    name = Path(trained["set"]).name
    assert "Leave --folds out" in _refused(capsys, "train", project, "--folds", "2", "--resume", name)
    assert "has finished" in _refused(capsys, "train", project, "--resume", Path(trained["runs"][0]).resolve())
    assert main(["train", str(project), "--resume", name]) == 0
    said = capsys.readouterr()
    assert "all pictures pooled: mean IoU of the labels" in said.out
    assert "The ensemble itself is not measured" in said.out
    assert "fold 2 of 2" in said.err
    assert "fold 1 of 2" not in said.err


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    config = NetworkConfig("unet", width=4, depth=2)
    save_checkpoint(tmp_path / "model", build_network(config), ModelCard(config, LabelSet.of(["disc"])))
    return tmp_path / "model"


def test_one_bad_picture_costs_only_itself(
    checkpoint: Path, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (discs / "images/zz.png").write_bytes(b"not a picture")
    made = _run(capsys, "predict", checkpoint, discs / "images", "--out", tmp_path / "out")
    assert len(made["predictions"]) == 6
    assert [Path(failed["image"]).name for failed in made["failed"]] == ["zz.png"]


def test_equal_names_from_two_folders_do_not_overwrite_each_other(
    checkpoint: Path, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tmp_path / "twin" / "d0.png"
    twin.parent.mkdir()
    twin.write_bytes((discs / "images/d1.png").read_bytes())
    _run(capsys, "predict", checkpoint, discs / "images/d0.png", twin, "--out", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"d0.png", "d0-2.png"}


def test_a_prediction_never_overwrites_its_picture(
    checkpoint: Path, discs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "could overwrite" in _refused(capsys, "predict", checkpoint, discs / "images", "--out", discs / "images")


def test_what_a_person_can_mend_is_one_line_and_exit_2(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not a project" in _refused(capsys, "report", tmp_path)
    assert "is not a model" in _refused(capsys, "evaluate", tmp_path, discs / "images", discs / "masks")
    assert main(["create", str(tmp_path / "p"), "--label", "disc"]) == 0
    capsys.readouterr()
    assert "has no model yet" in _refused(capsys, "predict", tmp_path / "p", discs / "images", "--out", tmp_path)
    assert "No picture is finished" in _refused(capsys, "train", tmp_path / "p")
    assert "no value" in _refused(capsys, "train", tmp_path / "p", "--set", "epochs")
    assert "is not there" in _refused(capsys, "import", tmp_path / "p", tmp_path / "nowhere")
    assert "already holds a project" in _refused(capsys, "create", tmp_path / "p")


def test_a_setting_that_does_not_exist_lists_those_that_do(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "p"
    _run(capsys, "create", project, "--label", "disc")
    _run(capsys, "import", project, discs, "--format", "masks")
    said = _refused(capsys, "train", project, "--set", "speed=11")
    assert "speed" in said
    assert "learning_rate" in said


# ---------------------------------------------------------------------------------------------- prediction, deployment


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    config = NetworkConfig("unet", classes=3, width=4, depth=2)
    save_checkpoint(
        tmp_path / "toy", build_network(config), ModelCard(config, LabelSet.of(["roof", "road"]), window=64)
    )
    return tmp_path / "toy"


def test_a_raster_on_a_map_gives_a_mask_at_the_same_place(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import rasterio
    from rasterio.transform import Affine

    values = np.random.default_rng(0).integers(1, 256, (3, 90, 120), dtype=np.uint8)
    place = {"crs": "EPSG:32633", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)}
    profile = {"driver": "GTiff", "height": 90, "width": 120, "count": 3, "dtype": "uint8", **place}
    with rasterio.open(tmp_path / "field.tif", "w", **profile) as file:
        file.write(values)
    found = _run(
        capsys, "predict", toy, tmp_path / "field.tif", "--out", tmp_path / "out", "--formats", "mask,geojson,gpkg,csv"
    )
    (one,) = found["predictions"]
    assert sorted(Path(file).name for file in one["files"]) == [
        "field.geojson",
        "field.gpkg",
        "field.tif",
        "field_objects.csv",
    ]
    assert sum(area["pixels"] for area in one["areas"]) == 90 * 120
    with rasterio.open(tmp_path / "out" / "field.tif") as mask:
        assert (mask.crs, mask.transform, mask.shape) == (profile["crs"], profile["transform"], (90, 120))
    assert "EPSG:32633" in one["crs"]
    (both,) = _run(
        capsys, "predict", toy, tmp_path / "field.tif", "--out", tmp_path / "seen", "--formats", "mask,overlay,labelme"
    )["predictions"]
    assert [Path(file).name for file in both["files"]] == ["field.tif", "field_overlay.jpg", "field.json"]
    assert "are no numbers" in _refused(
        capsys, "predict", toy, tmp_path / "field.tif", "--out", tmp_path / "out", "--bands", "a"
    )


def test_the_smaller_copies_in_a_raster_are_no_pages(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import rasterio
    from rasterio.transform import Affine

    profile = {"driver": "GTiff", "height": 600, "width": 600, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    place = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    with rasterio.open(tmp_path / "cog.tif", "w", **profile, transform=place, tiled=True) as file:
        file.write(np.random.default_rng(0).integers(1, 256, (3, 600, 600), dtype=np.uint8))
        file.build_overviews([2, 4])
    (one,) = _run(capsys, "predict", toy, tmp_path / "cog.tif", "--out", tmp_path / "out")["predictions"]
    assert [Path(file).name for file in one["files"]] == ["cog.tif"]


def test_a_picture_in_every_format(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(_disc(0)[0]))
    formats = "mask,overlay,labelme,geojson,csv"
    (one,) = _run(capsys, "predict", toy, tmp_path / "a.png", "--out", tmp_path / "out", "--formats", formats)[
        "predictions"
    ]
    assert [Path(file).name for file in one["files"]] == [
        "a.png",
        "a_overlay.jpg",
        "a.json",
        "a.geojson",
        "a_objects.csv",
    ]
    collection = json.loads((tmp_path / "out" / "a.geojson").read_text())
    rows = (tmp_path / "out" / "a_objects.csv").read_text(encoding="utf-8-sig").splitlines()
    assert collection["type"] == "FeatureCollection"
    assert rows[0].startswith("label,class_id,index")


def test_bench_and_export_by_the_command_line(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _run(capsys, "bench", toy, "--size", 64, "--backends", "onnx")
    assert [one["name"] for one in found["backends"]] == ["torch-eager", "onnx"]
    assert all(one["ms"] > 0 and one["mask_iou"] > 0.999 for one in found["backends"])
    exported = _run(capsys, "export-model", toy, "--to", "onnx", "--out", tmp_path / "toy.onnx")
    assert exported["parity"]["mask_iou"] > 0.999
    assert exported["bytes"] == (tmp_path / "toy.onnx").stat().st_size
    assert "cannot be compared" in _refused(capsys, "bench", toy, "--size", 5)
    assert "no backend 'abacus'" in _refused(capsys, "bench", toy, "--backends", "abacus")
    assert "not installed" in _refused(capsys, "export-model", toy, "--to", "tensorrt", "--out", tmp_path / "x")


def test_a_batch_goes_on_where_it_stopped(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "many").mkdir()
    for seed in range(3):
        (tmp_path / "many" / f"{seed}.png").write_bytes(encode_png(_disc(seed)[0]))
    (tmp_path / "many" / "bad.jpg").write_bytes(b"no picture")
    call = ("predict-batch", toy, tmp_path / "many", "--out", tmp_path / "out", "--formats", "mask")
    first = _run(capsys, *call)
    assert (first["total"], first["done"], first["kept"], len(first["failed"])) == (4, 3, 0, 1)
    assert Path(first["report"]).is_file()
    (tmp_path / "many" / "3.png").write_bytes(encode_png(_disc(3)[0]))
    assert (_run(capsys, *call)["kept"], _run(capsys, *call, "--anew")["kept"]) == (4, 0)  # also what cannot be read


def test_a_series_of_pictures_as_a_video(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(3):
        (tmp_path / "frames" / f"{number}.png").write_bytes(encode_png(_disc(0)[0]))
    found = _run(capsys, "predict-video", toy, tmp_path / "frames", "--out", tmp_path / "out")
    assert (found["frames"], found["failed"]) == (3, [])
    assert found["reused"] == pytest.approx(2 / 3, abs=1e-3)
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 3
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    assert "bad.mp4" in _refused(capsys, "predict-video", toy, tmp_path / "bad.mp4", "--out", tmp_path / "x")
