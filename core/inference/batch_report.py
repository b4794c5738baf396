"""The report of a batch: a page that needs nothing but itself, a contact sheet, and tables.

report.html        counts, failures with their reasons, thumbnails, areas
contact_sheet.jpg  a grid of small overlays with their names
areas.csv          a row for each picture (page) and label
failures.csv       a row for each picture without a result
"""

import base64
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.errors import ReadError
from core.files import write_bytes
from core.images import encode_jpeg, read_image
from core.inference.batch_journal import Entry, shown_name
from core.inference.export import ClassArea, areas_csv
from core.networks.card import ModelCard

THUMBNAIL: Final = 160  # pixels, the longer side
MOST_THUMBNAILS: Final = 400  # on the contact sheet and the page, spread evenly over the batch
MOST_ROWS: Final = 5000  # of a table of the page; the CSV holds all
_CAPTION: Final = 18  # pixels under each thumbnail
_FOLDER: Final = ".thumbnails"  # no name in a Source begins with a dot, so no result can be called the same
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


class Failed(NamedTuple):
    """A picture without a result, and why."""

    picture: str
    message: str
    hint: str


@dataclass(frozen=True)
class BatchReport:
    """What a batch came to.

    total: pictures asked for.  done: those with a result, `kept` of them from an earlier batch.  areas: of all
    pictures together.  refused: a sentence for each file that could not be taken.  seconds: of this call.
    stopped: somebody asked it to stop before the end.
    """

    out: Path
    total: int
    done: int
    kept: int
    failures: tuple[Failed, ...]
    areas: tuple[ClassArea, ...]
    refused: tuple[str, ...]
    seconds: float
    stopped: bool

    @property
    def page(self) -> Path:
        """The report for people."""
        return self.out / "report.html"

    def sentences(self) -> list[str]:
        """The outcome in words."""
        said = [f"{self.done} of {self.total} pictures are predicted in {self.out}."]
        if self.kept:
            said.append(f"{self.kept} of them were there from an earlier batch.")
        if self.failures:
            said.append(f"{len(self.failures)} could not be predicted; failures.csv says why.")
        if self.refused:
            said.append(f"{len(self.refused)} files were refused: {self.refused[0]}")
        if self.stopped:
            said.append("It was stopped; the same call goes on.")
        return said


def thumbnail_path(out: Path, stem: str) -> Path:
    """Where the thumbnail of a picture is kept, so that a batch that goes on need not make it again."""
    return out / _FOLDER / f"{stem}.jpg"


def write_report(
    out: Path,
    entries: Sequence[Entry],
    card: ModelCard,
    *,
    total: int,
    computed: int,
    refused: tuple[str, ...],
    seconds: float,
    stopped: bool = False,
) -> BatchReport:
    """Write the report's four files from what became of each picture. computed: how many of `entries` are new.

    Raises WriteError.
    """
    done = [entry for entry in entries if entry.failure is None]
    failures = tuple(
        Failed(entry.picture, entry.failure.message, entry.failure.hint) for entry in entries if entry.failure
    )
    rows = [(shown_name(e.picture, page.page), area) for e in done for page in e.pages for area in page.areas]
    report = BatchReport(
        out=out,
        total=total,
        done=len(done),
        kept=len(entries) - computed,
        failures=failures,
        areas=_sum([area for _, area in rows], card.labels.names),
        refused=refused,
        seconds=seconds,
        stopped=stopped,
    )
    thumbnails = _thumbnails(out, done)
    write_bytes(out / "areas.csv", areas_csv(rows))
    write_bytes(out / "failures.csv", _failures_csv(failures))
    write_bytes(out / "contact_sheet.jpg", contact_sheet([(e.picture, jpeg) for e, jpeg in thumbnails]))
    write_bytes(report.page, _page(report, done, thumbnails, card).encode("utf-8", "replace"))
    return report


def contact_sheet(thumbnails: Sequence[tuple[str, bytes]]) -> bytes:
    """A JPEG with all `thumbnails` (name, JPEG) in a grid, each with its name; the sheet says so when there is none."""
    columns = max(1, math.ceil(math.sqrt(len(thumbnails))))
    rows = max(1, math.ceil(len(thumbnails) / columns))
    cell = (THUMBNAIL + 8, THUMBNAIL + _CAPTION + 8)
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    if not thumbnails:
        draw.text((8, 8), "no picture", fill=_INK, font=font)
    for number, (name, data) in enumerate(thumbnails):
        left, top = number % columns * cell[0] + 4, number // columns * cell[1] + 4
        small = Image.fromarray(read_image(data, name=name))
        sheet.paste(small, (left + (THUMBNAIL - small.width) // 2, top + (THUMBNAIL - small.height) // 2))
        draw.text((left, top + THUMBNAIL + 2), _fitting(name, font), fill=_INK, font=font)
    return encode_jpeg(np.asarray(sheet))


def _fitting(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The end of `name` that is as wide as a thumbnail: the end tells pictures apart."""
    shown = name[-60:]
    while font.getlength(shown) > THUMBNAIL:
        shown = "…" + shown.removeprefix("…")[1:]
    return shown


def _thumbnails(out: Path, done: Sequence[Entry]) -> list[tuple[Entry, bytes]]:
    """At most MOST_THUMBNAILS of `done`, evenly spread, with their thumbnails; left out where one is gone."""
    step = max(1.0, len(done) / MOST_THUMBNAILS)
    chosen = [done[int(number * step)] for number in range(min(len(done), MOST_THUMBNAILS))]
    found = []
    for entry in chosen:
        try:
            data = thumbnail_path(out, entry.stem).read_bytes()
            if max(read_image(data, name=entry.picture).shape[:2]) <= THUMBNAIL:
                found.append((entry, data))
        except (OSError, ReadError):  # somebody cleaned up; the results themselves are there
            continue
    return found


def _sum(areas: Sequence[ClassArea], names: Sequence[str]) -> tuple[ClassArea, ...]:
    pixels = dict.fromkeys(names, 0)
    for area in areas:
        pixels[area["name"]] = pixels.get(area["name"], 0) + area["pixels"]
    total = max(1, sum(pixels.values()))
    return tuple(ClassArea(name=name, pixels=count, share=count / total) for name, count in pixels.items())


def _failures_csv(failures: Sequence[Failed]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(Failed._fields)
    writer.writerows(failures)
    return text.getvalue().encode("utf-8-sig", "replace")


# ------------------------------------------------------------------------------------------------------------- page

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child, .text td, .text th { text-align: left; overflow-wrap: anywhere; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .8rem; overflow-wrap: anywhere; }
.dot { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em; }
"""
# nothing is loaded from anywhere, whatever a file is called
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def _page(
    report: BatchReport, done: Sequence[Entry], thumbnails: Sequence[tuple[Entry, bytes]], card: ModelCard
) -> str:
    title = f"{report.done} of {report.total} pictures"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        f"<p>Model: {escape(card.name or 'without a name')}. {report.seconds:.0f} s for this call.</p>",
        *(f"<p>{escape(sentence)}</p>" for sentence in report.sentences()[1:]),
        _totals(report, card),
    ]
    if report.failures:
        cells = [tuple(map(escape, failed)) for failed in report.failures]
        parts += ["<h2>Without a result</h2>", _table(("Picture", "Reason", "What to do"), cells, text=True)]
    if report.refused:
        refused = [(escape(sentence),) for sentence in report.refused]
        parts += ["<h2>Refused</h2>", _table(("File",), refused, text=True)]
    parts += ["<h2>Pictures</h2>", '<div class="sheet">', *(_figure(*item) for item in thumbnails), "</div>"]
    if len(thumbnails) < len(done):
        parts.append(f"<p>{len(thumbnails)} of {len(done)} are shown.</p>")
    parts += ["<h2>Areas</h2>", _areas(done, card), "</body></html>"]
    return "\n".join(parts)


def _totals(report: BatchReport, card: ModelCard) -> str:
    colors = {label.name: label.color for label in card.labels.labels}
    rows = [
        (_dot(colors.get(area["name"], (128, 128, 128))) + escape(area["name"]), f"{area['pixels']:,}", _percent(area))
        for area in report.areas
    ]
    return _table(("Label", "Pixels", "Share"), rows)


def _areas(done: Sequence[Entry], card: ModelCard) -> str:
    """The share of each label in each picture."""
    names = card.labels.names
    rows: list[tuple[str, ...]] = []
    for entry in done:
        for page in entry.pages:
            if len(rows) == MOST_ROWS:
                return _table(("Picture", *map(escape, names)), rows) + "<p>All are in areas.csv.</p>"
            shares = {area["name"]: _percent(area) for area in page.areas}
            rows.append((escape(shown_name(entry.picture, page.page)), *(shares.get(name, "") for name in names)))
    return _table(("Picture", *map(escape, names)), rows)


def _figure(entry: Entry, jpeg: bytes) -> str:
    """A thumbnail with its name, which leads to the first file of the picture."""
    picture = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
    files = [name for page in entry.pages[:1] for name in page.files]
    best = next((name for name in files if name.endswith(".jpg")), files[0] if files else None)
    linked = picture if best is None else f'<a href="./{quote(best)}">{picture}</a>'
    return f"<figure>{linked}<figcaption>{escape(entry.picture)}</figcaption></figure>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, text: bool = False) -> str:
    """A table of cells that are HTML already."""
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    head = "".join(f"<th>{head}</th>" for head in heads)
    kind = ' class="text"' if text else ""
    return f"<table{kind}><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _dot(color: tuple[int, int, int]) -> str:
    return f'<span class="dot" style="background:rgb{tuple(color)}"></span>'


def _percent(area: ClassArea) -> str:
    return f"{100 * area['share']:.2f} %"
