"""Asking a model from other programs: the lines to copy, and one request sent from here."""

import http.client
import json
import shlex
import time
import uuid
from typing import Final, NamedTuple

import streamlit as st

from core.errors import ReadError, UserError
from core.project.project import Project
from core.serving.served import served_projects
from pages.ui.cached import rows_of
from pages.ui.models import Model
from pages.ui.words import memory

_TIMEOUT: Final = 120.0
_FORMATS: Final = {"overlay": "Overlay", "png": "Mask", "json": "Measured"}


class Reply(NamedTuple):
    """What came back. seconds: from the request to its end, the loading of the model included."""

    data: bytes
    seconds: float
    timing: str


def show_api(project: Project, model: Model) -> None:
    """The whole block."""
    current = project.current_model()
    served = [one.name for one in served_projects() if current is not None and one.folder == current]
    if not served:
        st.info("The model in use of a project answers over HTTP. This project has none yet.")
        return
    if current is not None and current.resolve() != model.folder.resolve():
        st.caption("The project's model in use answers, not the one that is chosen above.")
    name, port = served[0], int(st.get_option("server.port"))
    st.markdown("Any program on this machine can send a picture and gets its mask. Nothing has to be switched on.")
    shell, python = st.tabs(["Command line", "Python"])
    address = f"http://127.0.0.1:{port}"
    shell.code(
        f"curl -F image=@picture.jpg -F {shlex.quote(f'model={name}')} {address}/predict -o mask.png", language="bash"
    )
    python.code(_script(address, name), language="python")
    st.caption(
        f"[All parameters and answers]({address}/api). For other machines: `python -m core serve`, see docs/API.md.",
    )
    _try_it(project, name, port)


def _try_it(project: Project, name: str, port: int) -> None:
    rows = {row.name: row for row in rows_of(project)}
    if not rows:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sample = st.selectbox("Picture of the project", list(rows), key="api-picture", width=320)
        form = st.segmented_control(
            "Answer", list(_FORMATS), format_func=_FORMATS.__getitem__, default="overlay", required=True, key="api-form"
        )
        asked = st.button("Try it", icon=":material/send:", key="api-try")
    if not asked:
        return
    path = project.images / rows[sample].image
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read ({error.strerror or error}).", hint="Was it moved?") from error
    with st.spinner("Asking"):
        reply = post_picture(port, path.name, data, model=name, format=form)
    size = f"{memory(len(reply.data))} in {1000 * reply.seconds:,.0f} ms"
    st.caption(f"200, {size}. Of these: {reply.timing}." if reply.timing else f"200, {size}.")
    if form == "json":
        st.json(json.loads(reply.data), expanded=1)
    else:
        st.image(reply.data, width=480)


def post_picture(port: int, file_name: str, data: bytes, *, model: str, format: str) -> Reply:
    """Send a picture to this app's own `POST /predict`. Raises ReadError when it cannot be reached, or refuses."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in (("model", model), ("format", format))
    ]
    name = file_name.replace("\\", "_").replace('"', "_")
    head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
    body = b"".join([*parts, head, data, f"\r\n--{mark}--\r\n".encode()])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    began = time.perf_counter()
    try:
        connection.request("POST", "/predict", body, {"Content-Type": f"multipart/form-data; boundary={mark}"})
        answer = connection.getresponse()
        found = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ReadError(
            f"This app does not answer on port {port} ({error}).", hint="Is it behind a proxy, or on another port?"
        ) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise _refusal(answer.status, found)
    return Reply(found, time.perf_counter() - began, _timing(answer.getheader("Server-Timing", "")))


def _refusal(status: int, body: bytes) -> UserError:
    try:
        said = json.loads(body)
        return ReadError(f"{status}: {said['message']}", hint=said.get("hint", ""))
    except (ValueError, KeyError, TypeError):
        return ReadError(f"The app answered {status}.")


def _timing(header: str) -> str:
    """ "read;dur=3.2, predict;dur=41" -> "read 3 ms, predict 41 ms"."""
    found = []
    for part in header.split(","):
        name, _, duration = part.strip().partition(";dur=")
        if duration:
            found.append(f"{name} {float(duration):.0f} ms")
    return ", ".join(found)


def _script(address: str, model: str) -> str:
    return f"""import requests

with open("picture.jpg", "rb") as picture:
    wishes = {{"model": {model!r}, "format": "json"}}
    answer = requests.post("{address}/predict", files={{"image": picture}}, data=wishes)
answer.raise_for_status()
print(answer.json()["areas"])
"""
