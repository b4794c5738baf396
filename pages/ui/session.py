"""Every key of st.session_state, in one place and typed. What a person made never lives here: it is in the Project."""

from typing import Any, Final, Generic, TypeVar, cast

import streamlit as st

T = TypeVar("T")


class Key(Generic[T]):
    """One value that the session remembers. A widget may use `name` as its key."""

    def __init__(self, name: str, default: T) -> None:
        self.name = name
        self._default = default

    def get(self) -> T:
        return cast(T, st.session_state.get(self.name, self._default))

    def set(self, value: T) -> None:
        st.session_state[self.name] = value

    def clear(self) -> None:
        st.session_state.pop(self.name, None)


PROJECT: Final = Key[str | None]("project", None)  # folder name of the open Project
UPLOADS: Final = Key[int]("uploads", 0)  # counts up to give the uploader a new key, which empties it
SAVED: Final = Key[str]("saved", "")  # what the last save said
SCRIBBLES: Final = Key[Any]("scribbles", None)  # the strokes on the screen; the draft on disk has them, too
OPACITY: Final = Key[int]("opacity", 50)  # of masks over pictures, percent
