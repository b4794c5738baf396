"""What a person can mend. Everything else that is raised is our bug and keeps its traceback.

UserError              message: what was seen; hint: what to do
|- ReadError           a file or upload that cannot be used
|- WriteError          the disk refused: full, read-only, no permission
|- StaleSaveError      somebody saved the same Sample in between; both versions are kept
`- ConfigError         a setting that cannot be
"""


class UserError(Exception):
    """A mistake in the input or the surroundings, said in one sentence, with what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ReadError(UserError):
    """A file or upload that cannot be used."""


class WriteError(UserError):
    """The disk refused a write; what was there before is unchanged."""


class StaleSaveError(UserError):
    """A save that began from a version which is no longer the latest; both versions are kept."""


class ConfigError(UserError):
    """A setting outside what is possible."""
