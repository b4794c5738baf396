"""XML from elsewhere, element by element, in bounded memory; a document type with its entities is refused."""

import io
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

_DEEPEST = 40  # CVAT's own files reach 8


class XmlEvent(NamedTuple):
    """Begin (no children yet) or end of an element.  depth: 1 for the outermost one."""

    begins: bool
    depth: int
    element: Element


class BrokenXmlError(Exception):
    """XML that cannot be read any further; the text is a clause."""


def xml_events(data: bytes, *, keep: int) -> Iterator[XmlEvent]:
    """Begins and ends in order. Raises BrokenXmlError.

    keep: elements of this depth are whole when they end, and are forgotten afterwards; those above have no children.
    """
    depth = 0
    path: list[Element] = []
    try:
        for event, element in iterparse(io.BytesIO(data), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                depth += 1
                if depth > _DEEPEST:
                    raise BrokenXmlError("its elements are nested too deeply")
                path.append(element)
                yield XmlEvent(True, depth, element)
            else:
                yield XmlEvent(False, depth, element)
                path.pop()
                depth -= 1
                if depth < keep and path:
                    del path[-1][:]  # the parent forgets what was read
    except DefusedXmlException as error:
        raise BrokenXmlError("it declares a document type or entities, which is refused for safety") from error
    except ParseError as error:
        raise BrokenXmlError(f"it is not readable XML ({error}); it may be cut off") from error
    except (ValueError, LookupError) as error:  # an encoding that is unknown
        raise BrokenXmlError(f"it is not readable XML ({error})") from error
