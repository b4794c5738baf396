"""A form with a picture, read from a request: counted and timed while it comes in, on the disk when it is large."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from core.serving.refusals import RefusedError

_FIELD = 64_000  # bytes of a field that is no file
_FIELDS = 20


@dataclass(frozen=True)
class UploadLimits:
    """size: bytes of a body.  pause: seconds without a byte.  seconds: for all of it."""

    size: int = 200_000_000
    pause: float = 30.0
    seconds: float = 120.0


async def read_form(request: Request, limits: UploadLimits) -> FormData:
    """The fields of a multipart form, at most one of them a file. Close it.

    Raises RefusedError: 400 what is no such form, 408 too slow, 413 too large, 507 no room on the disk for it;
    ClientDisconnect.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RefusedError(400, "The request is not a form (multipart/form-data).", hint=_HOW)
    check_length(request, limits)
    parser = MultiPartParser(
        request.headers, _chunks(request, limits), max_files=1, max_fields=_FIELDS, max_part_size=_FIELD
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, f"The form cannot be read ({error.message.rstrip('.')}).", hint=_HOW) from error
    except OSError as error:
        raise RefusedError(
            507, f"There is no room for the picture ({error.strerror}).", hint="Free some space on the server."
        ) from error


def is_read(request: Request) -> bool:
    """Whether `read_form` has come to the end of the body."""
    return getattr(request.state, "is_read", False)


def check_length(request: Request, limits: UploadLimits) -> None:
    """Raises RefusedError, 413, when the request says that its body is too large."""
    if length_of(request) > limits.size:
        raise _too_large(limits)


def length_of(request: Request) -> int:
    """Bytes that the body will have, 0 when it is not said."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def picture_in(form: FormData) -> UploadFile:
    """The file of the field `image`. Raises RefusedError, 400."""
    picture = form.get("image")
    if picture is None:
        raise RefusedError(400, "The form has no field image.", hint=_HOW)
    if not isinstance(picture, UploadFile):
        raise RefusedError(400, "The field image is a text, not a file.", hint=_HOW)
    return picture


_HOW = "Send the picture as a file in the form field image, as curl does with -F image=@picture.png."


async def _chunks(request: Request, limits: UploadLimits) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    until, size, more, tail = clock() + limits.seconds, 0, True, b""
    while more:
        try:
            async with asyncio.timeout_at(min(until, clock() + limits.pause)):
                message = await request.receive()
        except TimeoutError as error:
            raise RefusedError(
                408, f"The picture took too long to come in; {size} bytes are here.", hint="Send it again."
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        request.state.is_read = not more
        size += len(chunk)
        if size > limits.size:
            raise _too_large(limits)
        tail = (tail + chunk[-8:])[-8:]
        yield chunk
    if not tail.rstrip().endswith(b"--"):  # the parser would take it, and forget to close the file
        raise RefusedError(400, "The form is cut off, or empty.", hint=_HOW)


def _too_large(limits: UploadLimits) -> RefusedError:
    return RefusedError(
        413,
        f"The request is larger than {limits.size / 1e6:g} MB.",
        hint="Send the picture as JPEG or PNG, or parts of it.",
    )
