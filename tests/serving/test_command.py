"""`serve` as a process of its own: what it refuses, what it imports, and the lines of docs/API.md."""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import ConfigError, ReadError
from core.images import encode_jpeg
from core.serving.command import PORT, add_serve, listen, serve
from tests.serving.fake_model import coloured, write_model

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "streamlit", "albumentations", "plotly", "onnxruntime", "rasterio")
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "API.md").read_text(), re.DOTALL)
    for line in block.splitlines()
]

# The fake model stands in for a backend; all else is as the command line has it.
PROCESS = f"""
import argparse, sys
from core import inference
from core.serving.command import add_serve, serve
from tests.serving.fake_model import load
inference.BACKENDS["fake"] = load
verbs = argparse.ArgumentParser()
add_serve(lambda name, run, about: verbs)
serve(verbs.parse_args([*sys.argv[1:], "--backend", "fake"]))
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def arguments(*words: str) -> argparse.Namespace:
    """As the command line reads them."""
    parser = argparse.ArgumentParser()
    add_serve(lambda name, run, about: parser)
    return parser.parse_args(words)


@contextmanager
def serving(*words: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, *words],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.search(r"http://[^/]+", said)
        assert found, said + process.stderr.read()
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


def test_every_line_of_the_documentation_works(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / "picture.jpg").write_bytes(encode_jpeg(coloured(64, 80)[0]))
    model = write_model(tmp_path / "sample-town")
    assert len(LINES) >= 8
    with serving(str(model), "--port", "0", MASKLOOP_TOKEN="") as (address, process):
        for line in LINES:
            line = line.replace(f"http://127.0.0.1:{PORT}", address).replace("curl ", "curl --silent --fail ", 1)
            done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=False)
            assert done.returncode == 0, line
        process.send_signal(signal.SIGINT)
        heavy, _ = process.communicate(timeout=30)
    assert heavy == "[]\n"
    starts = {"mask.png": b"\x89PNG", "overlay.jpg": b"\xff\xd8", "picture.json": b"{", "picture.geojson": b"{"}
    for name, start in starts.items():
        assert (tmp_path / name).read_bytes().startswith(start)
    assert json.loads((tmp_path / "picture.json").read_bytes())["imagePath"] == "picture.jpg"


def test_with_a_token_the_line_that_sends_it_works(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (line,) = (line for line in LINES if "Authorization" in line)
    (tmp_path / "picture.jpg").write_bytes(encode_jpeg(coloured(64, 80)[0]))
    model, secret = write_model(tmp_path / "sample-town"), {"MASKLOOP_TOKEN": "s3cret"}
    with serving(str(model), "--port", "0", "--host", "0.0.0.0", **secret) as (address, _):
        own = address.replace("0.0.0.0", "127.0.0.1")
        line = line.replace(f"http://127.0.0.1:{PORT}", own).replace("curl ", "curl --silent --fail ", 1)
        done = subprocess.run(line, shell=True, cwd=tmp_path, env={**os.environ, **secret}, check=False)
        assert done.returncode == 0
        done = subprocess.run(line, shell=True, cwd=tmp_path, env={**os.environ, "MASKLOOP_TOKEN": "x"}, check=False)
        assert done.returncode == 22  # what curl makes of a 401
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")


def test_others_need_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASKLOOP_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="token is needed") as caught:
        serve(arguments(str(write_model(tmp_path / "m")), "--host", "0.0.0.0"))
    assert "MASKLOOP_TOKEN" in caught.value.hint


@pytest.mark.parametrize("token", ["ä", " a", "a\n"])
def test_a_token_that_no_header_can_hold_is_refused(token: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="other signs"):
        serve(arguments(str(write_model(tmp_path / "m")), "--token", token))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="not a model"):
        serve(arguments(str(tmp_path)))


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be had"):
            listen("127.0.0.1", port)
    for host, port in (("no.such.host.invalid", 1), ("127.0.0.1", 70_000)):
        with pytest.raises(ConfigError, match="cannot be had"):
            listen(host, port)
