"""Text that other programs wrote: names of labels, and files in an older code page."""

from typing import Final

_ENCODINGS: Final = ("utf-8-sig", "gb18030")


def clean_label(value: object) -> str:
    """`value` as the name of a label: one line, no spaces around it; "" when it is no text or number."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable.strip().encode("utf-8", errors="replace").decode()


def decode_text(data: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, else Chinese, else Western European."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("cp1252", errors="replace")
