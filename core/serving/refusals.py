"""Why the prediction API refuses a request: a status of HTTP beside the sentence and the hint."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from core.errors import UserError

_DRAIN_SECONDS: Final = 5.0  # how long what a client still sends is thrown away, so that it reads the answer


class RefusedError(UserError):
    """A request that is answered with `status` (400 to 599).  headers: of the answer."""

    def __init__(self, status: int, message: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})

    @property
    def answer(self) -> JSONResponse:
        return JSONResponse(self.content, self.status, self.headers)

    @property
    def last_answer(self) -> JSONResponse:
        """The answer to a request whose body has not been read to its end: the connection ends with it."""
        return _LastAnswer(self.content, self.status, self.headers)

    @property
    def content(self) -> dict[str, str]:
        return {"message": self.message, "hint": self.hint}


class BusyError(RefusedError):
    """As many requests wait as may.  seconds: when a place may be free."""

    def __init__(self, seconds: float) -> None:
        wait = max(1, min(60, math.ceil(seconds)))
        headers = {"Retry-After": str(wait)}
        super().__init__(429, "The model is busy with other pictures.", hint=f"Try again in {wait} s.", headers=headers)


class _LastAnswer(JSONResponse):
    """Said at once, but the connection is closed only after the client has stopped sending, or `_DRAIN_SECONDS`.

    Closed with bytes unread, a connection is reset, and a client that is still sending would never see the answer.
    """

    def __init__(self, content: Any, status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(content, status_code, {**headers, "Connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
