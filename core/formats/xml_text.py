"""Text as XML can hold it."""

import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES: Final = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}  # in attributes they would be read as blanks


def xml_attributes(values: Mapping[str, str]) -> str:
    """` key="value"` for each, with a blank before it."""
    return "".join(f" {key}={quoteattr(_allowed(value), _SPACES)}" for key, value in values.items())


def xml_text(text: str) -> str:
    """What stands between tags."""
    return escape(_allowed(text), {"\r": "&#13;"})


def _allowed(text: str) -> str:
    """XML has no word for control characters and lone surrogates."""
    return _NOT_XML.sub("\ufffd", text)
