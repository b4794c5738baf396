import pytest

from core.formats.xml_events import BrokenXmlError, xml_events
from core.formats.xml_text import xml_attributes, xml_text


def test_elements_of_the_kept_depth_are_whole_when_they_end_and_forgotten_then() -> None:
    seen = []
    for event in xml_events(b"<r a='1'><x><y/></x><x><y/><y/></x></r>", keep=2):
        if event.depth == 2 and not event.begins:
            seen.append(len(event.element))
        if event.depth == 1 and not event.begins:
            assert len(event.element) == 0
            assert event.element.get("a") == "1"
    assert seen == [1, 2]


@pytest.mark.parametrize("data", [b"", b"x", b"<a>", b"<a></b>", b"<a/><b/>", b"\xff\xfe\x00", b"<a>&x;</a>"])
def test_what_is_no_xml_is_told(data: bytes) -> None:
    with pytest.raises(BrokenXmlError, match="not readable XML"):
        list(xml_events(data, keep=2))


def test_text_goes_out_and_in() -> None:
    text = "a<b>&\"'\r\n\t é 車 \U0001f600 ]]>"
    data = f"<r{xml_attributes({'k': text})}>{xml_text(text)}</r>".encode()
    element = [event.element for event in xml_events(data, keep=1)][-1]
    assert element.get("k") == text
    assert element.text == text
    assert xml_text("\x00\ud800") == "\ufffd\ufffd"
