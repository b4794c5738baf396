"""The rules in Python and in the browser's module, held to one table and to each other."""

import json
import math
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.checks import findings, findings_of
from core.annotation.shapes import SHAPE_KINDS, MaskShape, Polygon, Shape
from core.images import ImageSize
from tests.drawings import SIZES, mask_shapes, outlines

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "check_cases.json").read_text())
SCRIPT = (Path(__file__).parents[2] / "pages/ui/editor/checks.js").read_text()
PRESETS = ("general", "satellite", "medical")
Found = list[list[list[Any]]]


def shape_of(wire: dict[str, Any]) -> Shape:
    if wire["kind"] != "mask":
        points = tuple((float(x), float(y)) for x, y in wire["points"])
        return SHAPE_KINDS[wire["kind"]](label="wall", points_xy=points)
    left, top, width, height = wire["box"]
    runs = wire["rle"]
    region = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return MaskShape(label="wall", points_xy=((left, top), (left + width - 1, top + height - 1)), region=region)


def in_python(cases: list[dict[str, Any]]) -> Found:
    return [[[*found] for found in findings(shape_of(case["shape"]), size_of(case), case["preset"])] for case in cases]


def size_of(case: dict[str, Any]) -> ImageSize:
    width, height = case["size"]
    return ImageSize(height, width)


@pytest.fixture(scope="module")
def in_browser(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[dict[str, Any]]], Found]:
    """The same from checks.js, run by Node or by Chromium."""
    work = """
        const results = cases.map(({ shape, size: [width, height], preset }) =>
            findings(shape, { width, height }, preset).map(({ kind, text, place }) => [kind, text, place]));
    """
    folder = tmp_path_factory.mktemp("script")
    (folder / "checks.mjs").write_text(SCRIPT)
    node = shutil.which("node") or shutil.which("nodejs")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    chromium = os.environ.get("CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)

    def by_node(cases: list[dict[str, Any]]) -> Found:
        (folder / "cases.json").write_text(json.dumps(cases))
        (folder / "run.mjs").write_text(
            f"""import {{ readFileSync }} from 'node:fs'; import {{ findings }} from './checks.mjs';
            const cases = JSON.parse(readFileSync(new URL('cases.json', import.meta.url)));
            {work} console.log(JSON.stringify(results));"""
        )
        done = subprocess.run(
            [str(node), "run.mjs"], cwd=folder, capture_output=True, text=True, check=True, timeout=60
        )
        found: Found = json.loads(done.stdout)
        return found

    def by_chromium(cases: list[dict[str, Any]]) -> Found:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            found: Found = browser.new_page().evaluate(
                f"""async ([script, cases]) => {{
                const {{ findings }} = await import('data:text/javascript,' + encodeURIComponent(script));
                {work} return results; }}""",
                [SCRIPT, cases],
            )
            browser.close()
        return found

    if node is not None:
        return by_node
    if chromium is None:
        pytest.skip("neither Node nor a Chromium here: install the package chromium, or name one in CHROMIUM")
    return by_chromium


def assert_as_in_table(results: Found) -> None:
    for case, found in zip(CASES, results, strict=True):
        assert [item[:2] for item in found] == [item[:2] for item in case["findings"]], case["name"]
        for (_, _, place), (_, _, expected) in zip(found, case["findings"], strict=True):
            if expected is not None:
                assert list(place) == pytest.approx(expected), case["name"]


def test_the_table_in_python() -> None:
    assert_as_in_table(in_python(CASES))


def test_the_table_in_the_browser(in_browser: Callable[[list[dict[str, Any]]], Found]) -> None:
    assert_as_in_table(in_browser(CASES))


def random_case(dice: random.Random) -> dict[str, Any]:
    """Outlines that often cross, touch, and have doubled points; circles with few and many points."""
    preset, size = dice.choice(PRESETS), [dice.randint(1, 30), dice.randint(1, 30)]
    if dice.random() < 0.3:
        count, radius = dice.randint(3, 40), dice.uniform(0.5, 20)
        angles = [math.tau * (i + 0.02) / count for i in range(count)]
        points = [[15 + radius * math.cos(angle), 12 + radius * math.sin(angle)] for angle in angles]
        return {"shape": {"kind": "polygon", "points": points}, "size": size, "preset": preset}
    whole = dice.random() < 0.5
    kind = dice.choice(["polygon"] * 6 + ["rectangle", "circle", "line", "oriented_rectangle"])
    count = {"polygon": dice.randint(3, 12), "oriented_rectangle": 4}.get(kind, 2)
    draw = (lambda: dice.randint(-2, 8)) if whole else (lambda: dice.uniform(-5, 35))
    return {"shape": {"kind": kind, "points": [[draw(), draw()] for _ in range(count)]}, "size": size, "preset": preset}


def test_python_and_the_browser_agree_on_random_shapes(in_browser: Callable[[list[dict[str, Any]]], Found]) -> None:
    dice = random.Random(1)
    cases = [random_case(dice) for _ in range(3000)]
    ours, theirs = in_python(cases), in_browser(cases)
    kinds = {item[0] for found in ours for item in found}
    assert kinds == {"few_points", "crossing", "zero_area", "sliver", "outside", "partly_outside", "coarse"}
    for case, one, other in zip(cases, ours, theirs, strict=True):
        assert [item[:2] for item in one] == [item[:2] for item in other], case


@settings(max_examples=100, deadline=None)
@given(st.lists(outlines() | mask_shapes(), max_size=8), SIZES, st.sampled_from(PRESETS))
def test_together_or_one_by_one_is_the_same(shapes: list[Shape], size: ImageSize, preset: str) -> None:
    together = findings_of(shapes, size, preset)
    for shape, found in zip(shapes, together, strict=True):
        alone = findings(shape, size, preset)
        assert [(item.kind, item.text) for item in found] == [(item.kind, item.text) for item in alone]
        for item in found:
            x, y = item.place_xy
            assert 0 <= x <= size.width
            assert 0 <= y <= size.height


@pytest.mark.parametrize("far", [1e7, 1e155, 1e300])
def test_huge_coordinates_are_outside_and_break_nothing(far: float) -> None:
    shape = Polygon(label="wall", points_xy=((0, 0), (far, 0), (far, far), (3, far)))
    found = {finding.kind: finding.text for finding in findings(shape, ImageSize(9, 9), "satellite")}
    assert found["partly_outside"] == "reaches over the edge of the picture by 1000000 px"


def test_a_hundred_thousand_points_take_under_a_second() -> None:
    angles = np.linspace(0, math.tau, 100_000, endpoint=False)
    points = np.stack([5000 + 4000 * np.cos(angles), 5000 + 4000 * np.sin(angles)], axis=1)
    shape = Polygon(label="wall", points_xy=tuple((x, y) for x, y in points.tolist()))
    started = time.perf_counter()
    assert findings(shape, ImageSize(9000, 9000), "medical") == ()
    assert time.perf_counter() - started < 5  # 0.2 s alone on two cores


def test_no_shape_has_no_findings() -> None:
    assert findings_of((), ImageSize(4, 4), "satellite") == []
