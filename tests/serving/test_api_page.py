"""The OpenAPI document says what the routes are, and the page needs nobody else."""

import re
from typing import Any

from starlette.routing import Route

from core.serving import api
from core.serving.api_formats import FORMATS
from core.serving.api_page import document, page

ADDRESS = "http://127.0.0.1:8502/"


def test_the_document_has_every_route_and_no_other() -> None:
    routes = {route.path for route in api.ROUTES if isinstance(route, Route)}
    assert set(document(ADDRESS)["paths"]) == routes - {"/openapi.json", "/api"} | {"/healthz"}


def test_every_reference_leads_somewhere() -> None:
    found = document(ADDRESS)

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [r for key, v in value.items() for r in ([v] if key == "$ref" else references(v))]
        return [r for v in value for r in references(v)] if isinstance(value, list) else []

    assert references(found)
    for reference in references(found):
        place = found
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_all_formats_are_described() -> None:
    post = document(ADDRESS)["paths"]["/predict"]["post"]
    assert post["parameters"][0]["schema"]["enum"] == list(FORMATS)
    for format in FORMATS.values():
        assert format.media_type in post["responses"]["200"]["content"]
        assert format.about in post["parameters"][0]["description"]


def test_the_page_loads_nothing_and_has_both_themes() -> None:
    text = page(ADDRESS)
    assert set(re.findall(r"https?://[^/\s\"'<]+", text)) == {"http://127.0.0.1:8502"}
    assert "<script" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert "curl -F image=@picture.jpg http://127.0.0.1:8502/predict -o mask.png" in text


def test_an_address_cannot_bring_markup_into_the_page() -> None:
    assert "<b>" not in page('http://x"><b>/')
