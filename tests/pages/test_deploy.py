"""Deploy: what was measured is shown and taken; files come from a process of their own."""

import json
import shutil
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.annotation.labels import LabelSet
from core.errors import ReadError, UserError
from core.inference.bench import Bench, Measured, machine
from core.inference.exported import BENCH_FILE, exported_folder
from core.project.exporting import model_exports_folder
from core.project.home import REPOSITORY, create_project, projects_home
from core.project.project import Project
from pages.ui import running_model
from pages.ui.api_panel import post_picture
from pages.ui.cached import took
from pages.ui.running_model import RunningBench, begin_model_export, bench_work
from tests.pages.opening import open_page
from tests.samples import picture

ROWS = (
    Measured("torch-eager", 100, 1, 0, 1, 5, 500),
    Measured("onnx-int8", 10, 10, 0.5, 0.98, 2, 200),
    Measured("openvino", 20, 5, 0.1, 0.9961, 2, 200),
    Measured("tensorrt", problem="TensorRT is not there."),
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    project = create_project("Town", preset="satellite", labels=LabelSet.of(["building", "road"]))
    project.add_image(picture(0), filename="s0.png")
    kept = project.folder / "models" / "town"
    shutil.copytree(REPOSITORY / "models" / "sample-town", kept, ignore=shutil.ignore_patterns("exported"))
    project.set_current_model(kept)
    return project


@pytest.fixture
def model(project: Project) -> Path:
    found = project.current_model()
    assert found is not None
    return found


def test_what_was_measured_is_shown_and_the_fastest_that_agrees_is_taken(project: Project, model: Path) -> None:
    assert took(model) == "torch"
    path = exported_folder(model) / BENCH_FILE
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(Bench(machine(), 512, True, ROWS).to_json()))
    assert took(model) == "openvino"
    app = open_page("deploy", project="Town")
    assert any("OpenVINO, its own choice** is taken: **5.0 times" in text.value for text in app.markdown)
    (table,) = app.dataframe
    assert list(table.value["Name"]) == ["onnx-int8", "openvino", "torch-eager"]
    assert list(table.value[""]) == ["does not agree", "taken", "agrees"]
    assert [part.label for part in app.expander] == ["1 not on this machine"]
    assert "Compare again" in [button.label for button in app.button]


def test_a_comparison_begins_with_one_click_and_a_failure_is_said(
    project: Project, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def bench(folder: Path, *, progress: object) -> None:
        asked.append(folder)
        raise UserError("The disk is full.", hint="Make room.")

    monkeypatch.setattr(running_model, "bench", bench)
    app = open_page("deploy", project="Town")
    (button,) = [button for button in app.button if button.label == "Compare on this machine"]
    button.click().run()
    said = [error.value for error in app.error]  # the rerun may have shown it already
    going = bench_work(project)
    if going is not None:
        assert isinstance(going, RunningBench)
        assert going.over.wait(10)
        app.run()
        said += [error.value for error in app.error]
    assert asked == [model]
    assert any("The disk is full" in text for text in said)
    assert not app.exception


def test_a_package_is_made_and_offered(project: Project, model: Path) -> None:
    going = begin_model_export(project, model, "package")
    assert going.over.wait(120)
    assert going.failure is None
    assert going.report is not None
    assert going.report["parity"]["mask_iou"] > 0.999
    assert going.target == model_exports_folder(project) / "Town-model.zip"
    assert going.target.stat().st_size > 1_000_000
    app = open_page("deploy", project="Town")
    assert any("compared with the model" in said.value for said in app.success)
    links = [element.proto.url for element in app.get("link_button")]
    assert "/api/projects/Town/exports/models/Town-model.zip" in links


def test_the_lines_for_other_programs_name_the_project(project: Project, model: Path) -> None:
    app = open_page("deploy", project="Town")
    lines = [block.value for block in app.code]
    assert any("curl -F image=@picture.jpg" in line and "model=Town" in line for line in lines)
    app.button(key="api-try").click().run()  # no server answers in a test
    assert not app.exception
    assert any("does not answer on port" in error.value for error in app.error)


@pytest.mark.parametrize(("status", "said"), [(200, ""), (404, "There is no model"), (500, "answered 500")])
def test_a_request_is_sent_as_a_form(status: int, said: str) -> None:
    body = b"mask" if status == 200 else b'{"message": "There is no model."}' if status == 404 else b"oops"
    seen: list[bytes] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Server-Timing", "read;dur=3.2, predict;dur=41")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.handle_request).start()
        ask = partial(post_picture, server.server_port, 'a"b.jpg', b"\0\1", model="Town", format="png")
        if status == 200:
            reply = ask()
            assert (reply.data, reply.timing) == (b"mask", "read 3 ms, predict 41 ms")
            assert b'name="model"\r\n\r\nTown' in seen[0]
            assert b'filename="a_b.jpg"\r\n\r\n\0\1\r\n' in seen[0]
        else:
            with pytest.raises(ReadError, match=said):
                ask()


def test_a_model_that_is_gone_is_said(project: Project, tmp_path: Path) -> None:
    going = begin_model_export(project, tmp_path / "gone", "onnx")
    assert going.over.wait(60)
    assert isinstance(going.failure, UserError)
    assert "is not a model" in str(going.failure)


def test_without_a_model_the_page_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("pages.ui.models._KEPT", tmp_path / "nothing")
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    create_project("Empty", preset="general", labels=LabelSet.of(["coin"]))
    app = open_page("deploy", project="Empty")
    assert any("no model yet" in said.value for said in app.info)
