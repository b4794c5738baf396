"""The prediction API: every format, every refusal, and that the next request works after each."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.applications import Starlette

from core.errors import ReadError
from core.formats.labelme import read_labelme
from core.images import MAX_PIXELS, encode_png
from core.inference.backend import Backend
from core.serving.api import PredictionApi
from core.serving.routes import ROUTES
from core.serving.served import served_checkpoints
from core.serving.upload import UploadLimits
from tests.serving.asgi import Answer, ask
from tests.serving.fake_model import coloured as blocks
from tests.serving.fake_model import load, write_model
from tests.serving.forms import FORM, form

IMAGE, IDS = blocks(70, 100)
PNG = encode_png(IMAGE)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    folder = tmp_path_factory.mktemp("models")
    models = served_checkpoints([write_model(folder / "town"), write_model(folder / "other" / "town")])
    api = PredictionApi(lambda: models, load, limits=UploadLimits(size=200_000, pause=0.3, seconds=0.6))
    return Starlette(routes=list(api.routes()))


def post(app: Starlette, body: bytes, path: str = "/predict", **headers: str) -> Answer:
    return ask(app, path, body=body, **{**FORM, **headers})


def assert_works(app: Starlette) -> None:
    answer = post(app, form(PNG))
    assert answer.code == 200
    assert (np.asarray(Image.open(io.BytesIO(answer.body))) == IDS).all()


def test_the_answer_is_an_indexed_png_of_class_ids(app: Starlette) -> None:
    answer = post(app, form(PNG))
    mask = Image.open(io.BytesIO(answer.body))
    assert mask.mode == "P"
    assert (np.asarray(mask) == IDS).all()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''town%201.png"
    assert {part.partition(";")[0].strip() for part in answer.headers["server-timing"].split(",")} == {
        "read",
        "predict",
        "network",
        "write",
    }


def test_labelme(app: Starlette) -> None:
    answer = post(app, form(PNG, name="../../etc/a b.png"), "/predict?format=labelme")
    file = read_labelme(answer.body, name="answer")
    assert file.image_path == "a b.png"
    assert {shape.label for shape in file.annotation.shapes} == {"house", "road"}
    assert (file.annotation.size.height, file.annotation.size.width) == IDS.shape


def test_areas(app: Starlette) -> None:
    found = post(app, form(PNG), "/predict?format=json").json
    assert {key: found[key] for key in ("model", "picture", "width", "height")} == {
        "model": "town",
        "picture": "town 1.png",
        "width": 100,
        "height": 70,
    }
    assert [area["pixels"] for area in found["areas"]] == np.bincount(IDS.ravel()).tolist()
    assert sum(area["share"] for area in found["areas"]) == pytest.approx(1)


def test_geojson_in_pixels_and_on_the_map(app: Starlette) -> None:
    found = post(app, form(PNG, format="geojson")).json
    assert found["type"] == "FeatureCollection"
    assert {feature["properties"]["label"] for feature in found["features"]} == {"house", "road"}
    assert found["maskloop"]["coordinates"] == "pixels"
    rasterio = pytest.importorskip("rasterio")
    profile = {"driver": "GTiff", "width": 100, "height": 70, "count": 3, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile, transform=rasterio.Affine(2, 0, 500_000, 0, -2, 5_000_000)) as raster:
            raster.write(IMAGE.transpose(2, 0, 1))
        tiff = memory.read()
    found = post(app, form(tiff, name="town.tif", format="geojson")).json
    assert found["maskloop"]["coordinates"] == "map"
    assert found["features"][0]["geometry"]["coordinates"][0][0][0] >= 500_000


def test_overlay(app: Starlette) -> None:
    answer = post(app, form(PNG, format="overlay"))
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.body)).size == (100, 70)
    assert answer.headers["content-disposition"].endswith("town%201_overlay.jpg")


def test_the_query_is_stronger_than_the_form(app: Starlette) -> None:
    answer = post(app, form(PNG, format="json", model="nobody"), "/predict?format=png&model=town-2")
    assert answer.headers["content-type"] == "image/png"
    assert post(app, form(PNG, format="json", model="town-2")).json["model"] == "town-2"


def test_models_are_described(app: Starlette) -> None:
    first, second = ask(app, "/models").json["models"]
    assert (first["name"], second["name"]) == ("town", "town-2")
    assert [label["name"] for label in first["labels"]] == ["_background_", "house", "road"]
    assert first["window"] == 64
    assert first["multiple_of"] == 4
    assert first["metrics"] == {"mean_iou": 0.9}
    assert first["created"].startswith("2026")


def _large_tiff() -> bytes:
    """A header of more pixels than are decoded whole, and hardly any data."""
    buffer = io.BytesIO()
    side = int(MAX_PIXELS**0.5) + 100
    tifffile.imwrite(buffer, np.zeros((16, 16), np.uint8))
    data = bytearray(buffer.getvalue())
    for tag in (256, 257):  # width, height: entries of twelve bytes, little endian
        at = data.index(tag.to_bytes(2, "little") + (4).to_bytes(2, "little"))
        data[at + 8 : at + 12] = side.to_bytes(4, "little")
    return bytes(data)


REFUSED = {
    "not a form": (b"hello", {"content-type": "text/plain"}, "", 400, "multipart"),
    "no type at all": (b"hello", {"content-type": ""}, "", 400, "multipart"),
    "a form of another kind": (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, "", 400, "multipart"),
    "JSON": (b"{}", {"content-type": "application/json"}, "", 400, "multipart"),
    "no boundary": (form(PNG), {"content-type": "multipart/form-data"}, "", 400, "boundary"),
    "another boundary": (form(PNG), {"content-type": "multipart/form-data; boundary=other"}, "", 400, "form"),
    "an empty body": (b"", {}, "", 400, "empty"),
    "a form that is cut off": (form(PNG)[:200], {}, "", 400, "cut off"),
    "no field image": (form(None, format="png"), {}, "", 400, "no field image"),
    "a text as image": (form(None, image="picture.png"), {}, "", 400, "text"),
    "two files": (form(PNG)[:-14] + form(PNG), {}, "", 400, "Too many files"),
    "many fields": (form(PNG, **{f"f{i}": "x" for i in range(50)}), {}, "", 400, "Too many fields"),
    "a long field": (form(PNG, format="x" * 100_000), {}, "", 400, "maximum size"),
    "an unknown format": (form(PNG), {}, "?format=exe", 400, "no format 'exe'"),
    "an unknown format in the form": (form(PNG, format="exe"), {}, "", 400, "no format 'exe'"),
    "an unknown model": (form(PNG), {}, "?model=../town", 404, "no model '../town'"),
    "an unknown model in the form": (form(PNG, model="x"), {}, "", 404, "no model 'x'"),
    "a body that says it is too large": (form(PNG), {"content-length": "1000000000"}, "", 413, "larger than 0.2 MB"),
    "a body that is too large": (form(b"x" * 300_000), {}, "", 413, "larger than 0.2 MB"),
    "too many pixels": (form(_large_tiff()), {}, "", 413, "megapixels"),
    "no picture": (form(b"hello"), {}, "", 415, "picture"),
    "an empty picture": (form(b""), {}, "", 415, "empty"),
    "a picture that is cut off": (form(PNG[: len(PNG) // 2]), {}, "", 422, ""),
    "a length that is no number": (form(b""), {"content-length": "-7"}, "", 415, "empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_told_why_and_the_next_request_works(case: str, app: Starlette) -> None:
    body, headers, query, status, word = REFUSED[case]
    answer = post(app, body, f"/predict{query}", **headers)
    assert answer.code == status
    assert answer.json.keys() == {"message", "hint"}
    assert word in answer.json["message"]
    assert "/tmp" not in answer.json["message"]
    assert_works(app)


@given(st.binary(max_size=300), st.integers(0, 500), st.integers(1, 80))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_forms_are_refused_with_a_sentence(app: Starlette, junk: bytes, at: int, length: int) -> None:
    whole = form(PNG, model="town")
    answer = post(app, whole[:at] + junk + whole[at + length :], "/predict?format=json")
    assert answer.code in (200, 400, 404, 413, 415, 422)
    assert isinstance(answer.json, dict)


def test_every_request_is_counted(app: Starlette) -> None:
    post(app, form(None))
    lines = ask(app, "/metrics").body.decode().splitlines()
    assert any(line.startswith('maskloop_requests_total{path="/predict",status="400"} ') for line in lines)
    assert any(line.startswith('maskloop_waiting{model="town"} 0') for line in lines)


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Starlette]:
    def load_none(_: Path) -> Backend:
        raise ReadError("The weights are damaged.", hint="Train again.")

    models = served_checkpoints([write_model(tmp_path / "broken")])
    yield Starlette(routes=list(PredictionApi(lambda: models, load_none).routes()))
    models.clear()


def test_a_model_that_cannot_be_loaded_is_told(broken: Starlette) -> None:
    answer = post(broken, form(PNG))
    assert answer.code == 503
    assert answer.json["message"] == "The model 'broken' cannot be loaded: The weights are damaged."


def test_without_models_there_is_a_sentence() -> None:
    answer = post(Starlette(routes=list(PredictionApi(list, load).routes())), form(PNG))
    assert (answer.code, answer.json["message"]) == (404, "There is no model here yet.")


def test_our_own_faults_are_told_without_their_details(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = served_checkpoints([write_model(tmp_path / "town")])

    def load_wrong(_: Path) -> Backend:
        raise AssertionError("secret")

    app = Starlette(routes=list(PredictionApi(lambda: models, load_wrong).routes()))
    answer = post(app, form(PNG))
    assert answer.code == 500
    assert "secret" not in json.dumps(answer.json)
    assert "secret" in caplog.text


def test_the_app_serves_them_beside_its_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    app = Starlette(routes=list(ROUTES))
    assert ask(app, "/models").json == {"models": []}
    assert post(app, form(PNG)).code == 404
    assert ask(app, "/healthz").json["status"] == "ok"
