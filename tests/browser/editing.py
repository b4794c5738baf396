"""The editor as a person handles it: places in picture pixels, keys, and the wait until all is on disk."""

import json
from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.conftest import PATIENCE

Place = tuple[float, float]  # x, y in picture pixels


class EditorOnScreen:
    """The editor of a page that shows Annotate."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        self.wait_saved()

    @property
    def root(self) -> Locator:
        return self.page.locator(".maskloop-editor")

    def wait_saved(self) -> None:
        """Until the picture is shown and each change of it is on disk."""
        self.page.locator(".maskloop-editor[data-status=saved]").wait_for(timeout=PATIENCE)

    def wait_for(self, **attributes: object) -> None:
        """Until the editor says so in its data-... attributes, and all is saved."""
        wanted = "".join(f'[data-{name}="{value}"]' for name, value in attributes.items())
        self.page.locator(f".maskloop-editor[data-status=saved]{wanted}").wait_for(timeout=PATIENCE)

    def ask(self, expression: str) -> Any:
        """What `expression` gives, with the editor as `e`."""
        text = self.root.evaluate(f"(root) => {{ const e = root.editor; return JSON.stringify({expression}) }}")
        return json.loads(text) if text is not None else None

    def shapes(self) -> list[dict[str, Any]]:
        """What is drawn: kind, label, points, and the number of pixels of a mask."""
        return self.ask(
            "e.doc.shapes.map(s => ({kind: s.kind, label: s.label, points: s.points, area: s.mask && s.mask.area()}))"
        )

    def key(self, name: str) -> None:
        self.page.keyboard.press(name)

    def click(self, place: Place, *, double: bool = False, shift: bool = False) -> None:
        x, y = self.on_screen(place)
        if shift:
            self.page.keyboard.down("Shift")
        self.page.mouse.click(x, y, click_count=2 if double else 1)
        if shift:
            self.page.keyboard.up("Shift")

    def drag(self, *places: Place) -> None:
        self.page.mouse.move(*self.on_screen(places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.on_screen(place), steps=6)
        self.page.mouse.up()

    def on_screen(self, place: Place) -> Place:
        """Where a place of the picture is on the page."""
        box = self.page.locator(".maskloop-editor .stage").bounding_box()
        assert box is not None
        x, y = self.ask(f"e.view.toScreen([{place[0]}, {place[1]}])")
        return box["x"] + x, box["y"] + y
