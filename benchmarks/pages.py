"""Seconds a person waits for a page: each page opened on a Project of many pictures, and clicks while a Run trains.

    python -m benchmarks.pages [--pictures 5000]

Measured in a Chromium of this machine, with the app's own server; a page counts as open when its title stands there and
Streamlit has stopped working on it. The Run trains on the sample pictures with the default network.
"""

import argparse
import re
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from benchmarks._app import chromium, running_app
from benchmarks.many_pictures import make_project

TITLES = {"": "Projects", "annotate": "Annotate", "dataset": "Data set", "train": "Train", "predict": "Predict"}
_ROUNDS = 5
_SAMPLE = "Sample 1 - town from above"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to open pages, and to answer clicks while training.")
    parser.add_argument("--pictures", type=int, default=5000)
    count = parser.parse_args().pictures
    expect.set_options(timeout=120_000)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        make_project(home / "many", count)
        with running_app(home) as app:
            print(f"server answers after {app.seconds:.1f} s\n")
            _measure(app.address, count)


def _measure(address: str, count: int) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(address)  # makes the sample projects
        _settled(page, "Projects")
        print(f"| page, {count} pictures | first opening, s | median of {_ROUNDS} more, s |")
        print("|---|---|---|")
        for path, title in TITLES.items():
            first, *more = [_open(page, f"{address}/{path}?project=many", title) for _ in range(_ROUNDS + 1)]
            print(f"| {title} | {first:.2f} | {statistics.median(more):.2f} |", flush=True)
        idle = _clicks(page, address)
        _start_training(page, address)
        training = _clicks(page, address)
        print("\n| click | nothing else runs: median, s | a Run trains: median, s | longest, s |")
        print("|---|---|---|---|")
        for name, seconds in training.items():
            before, beside = statistics.median(idle[name]), statistics.median(seconds)
            print(f"| {name} | {before:.2f} | {beside:.2f} | {max(seconds):.2f} |")


def _start_training(page: Page, address: str) -> None:
    _open(page, f"{address}/train?project={_SAMPLE}", "Train")
    clicked = time.perf_counter()
    page.locator(".st-key-start-training button").click()
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    print(f"\nfirst point of the curves {time.perf_counter() - clicked:.1f} s after the click on Start")


def _clicks(page: Page, address: str) -> dict[str, list[float]]:
    """Seconds from a click to what it brings, by what it is."""
    _open(page, f"{address}/?project={_SAMPLE}", "Projects")
    waits: dict[str, list[float]] = {}
    for _ in range(_ROUNDS):
        for title in ("Data set", "Annotate", "Train", "Projects"):
            link = page.get_by_role("link", name=re.compile(f"{title}$")).first
            started = time.perf_counter()
            link.click()
            expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
            waits.setdefault(f"to the page {title}", []).append(time.perf_counter() - started)
    _open(page, f"{address}/annotate?project={_SAMPLE}", "Annotate")
    for _ in range(_ROUNDS):
        editor = page.locator(".maskloop-editor[data-status=saved]")
        editor.wait_for()
        before = editor.get_attribute("data-sample")
        started = time.perf_counter()
        page.keyboard.press("ArrowRight")
        page.locator(f".maskloop-editor[data-status=saved]:not([data-sample='{before}'])").wait_for()
        waits.setdefault("next picture on Annotate", []).append(time.perf_counter() - started)
    return waits


def _open(page: Page, url: str, title: str) -> float:
    page.goto("about:blank")
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    return _settled(page, title) - started


def _settled(page: Page, title: str) -> float:
    """The time at which the page was complete: its title visible, nothing more being computed."""
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    page.wait_for_function(
        "() => { const app = document.querySelector('[data-testid=stApp]');"
        " return app && app.getAttribute('data-test-script-state') !== 'running'"
        " && !document.querySelector('[data-testid=stSkeleton]'); }",
        polling=20,
    )
    return time.perf_counter()


if __name__ == "__main__":
    main()
