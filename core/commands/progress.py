"""What verbs have in common: their form, and a line on stderr that says how far they are."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

Result = dict[str, Any]  # what --json prints; its "text" is for people
AddVerb = Callable[[str, Callable[[argparse.Namespace], Result], str], argparse.ArgumentParser]


class Progress:
    """A line on stderr that says how far and how long still."""

    def __init__(self, what: str) -> None:
        self._what, self._started, self._shown = what, time.monotonic(), 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and sys.stderr.isatty():
            print(file=sys.stderr)

    def show(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if done < total and now - self._shown < 0.5:
            return
        self._shown = now
        left = (now - self._started) / max(done, 1) * (total - done)
        line = f"{self._what} {done}/{total} {text}" + (f", {left:.0f} s left" if done < total else "")
        print(
            f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, end="" if sys.stderr.isatty() else "\n"
        )
