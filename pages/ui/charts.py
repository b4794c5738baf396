"""Charts: curves that grow in place, bars by label, the confusion matrix. All readable in light and dark.

Curves are Vega-Lite: st.plotly_chart is rebuilt whenever its data changes and loses the zoom. A Vega chart whose spec
stays the same gets the new points into the chart that is there. Streamlit still resets a zoom that it does not know
as a selection, so ours is one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]
import streamlit as st
from numpy.typing import NDArray
from plotly import graph_objects as go

from core.annotation.labels import BACKGROUND, Color, LabelSet

# None of the label colours (Okabe and Ito's), and of middle lightness: seen on white as well as on black.
TRAINING: Final = "#8b8b9b"
VALIDATION: Final = "#7a69dd"
_ZOOM: Final = "zoom"
_GRID: Final = "rgba(128, 128, 140, 0.25)"


class Curve(NamedTuple):
    """One line. `ys` is None where nothing was measured.  faint: many restless points, drawn thin and without marks."""

    name: str
    color: str
    xs: Sequence[float | None]
    ys: Sequence[float | None]
    dashed: bool = False
    faint: bool = False


def show_curves(
    curves: Sequence[Curve],
    *,
    key: str,
    y_title: str,
    y_domain: tuple[float, float] | None = None,
    y_format: str = ".3f",
    height: int = 300,
) -> None:
    """Curves over epochs. The same `key` and the same names in the same order: new points, same chart, same zoom."""
    points = [
        (x, y, curve.name)
        for curve in curves
        for x, y in zip(curve.xs, curve.ys, strict=True)
        if x is not None and y is not None
    ]
    xs, ys, names = zip(*points, strict=True) if points else ((), (), ())
    table = pa.table(
        {
            "epoch": pa.array(xs, pa.float64()),
            "value": pa.array(ys, pa.float64()),
            "curve": pa.array(names, pa.string()),
        }
    )
    spec = _curve_spec(curves, y_title=y_title, y_domain=y_domain, y_format=y_format, height=height)
    st.vega_lite_chart(table, spec, key=key, on_select="rerun", selection_mode=_ZOOM, width="stretch", alt=y_title)


def _curve_spec(
    curves: Sequence[Curve],
    *,
    y_title: str,
    y_domain: tuple[float, float] | None,
    y_format: str,
    height: int,
) -> dict[str, Any]:
    names = [curve.name for curve in curves]
    faint = [curve.name for curve in curves if curve.faint]
    legend = (
        {"orient": "top", "title": None, "labelLimit": 240, "symbolType": "stroke", "offset": 4, "padding": 0}
        if len(curves) > 1
        else None
    )
    y_scale: dict[str, Any] = {"zero": False} if y_domain is None else {"domain": list(y_domain)}
    encoding = {
        "x": {
            "field": "epoch",
            "type": "quantitative",
            "title": "Epoch",
            "axis": {"tickMinStep": 1, "format": "~g", "grid": False},
            "scale": {"zero": False, "nice": False, "padding": 6},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": None,
            "axis": {"format": "~g", "tickCount": 5},
            "scale": y_scale,
        },
        "color": {
            "field": "curve",
            "type": "nominal",
            "scale": {"domain": names, "range": [curve.color for curve in curves]},
            "legend": legend,
        },
        "strokeDash": {
            "field": "curve",
            "type": "nominal",
            "scale": {"domain": names, "range": [[5, 3] if curve.dashed else [1, 0] for curve in curves]},
            "legend": legend,
        },
        "tooltip": [
            {"field": "curve", "type": "nominal", "title": y_title},
            {"field": "epoch", "type": "quantitative", "title": "Epoch", "format": ".3~g"},
            {"field": "value", "type": "quantitative", "title": "Value", "format": y_format},
        ],
    }
    is_faint = {"field": "curve", "oneOf": faint}
    # a plain wheel scrolls the page; with Ctrl (or a pinch) it zooms
    zoom = {"type": "interval", "zoom": "wheel![event.ctrlKey]"}
    return {
        "height": height,
        "encoding": encoding,
        "params": [{"name": _ZOOM, "select": zoom, "bind": "scales", "views": ["curves"]}],
        "layer": [
            {
                "transform": [{"filter": is_faint}],
                "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.5, "clip": True},
            },
            {
                "name": "curves",
                "transform": [{"filter": {"not": is_faint}}],
                "mark": {"type": "line", "strokeWidth": 2, "clip": True, "point": {"size": 30, "filled": True}},
            },
        ],
    }


def show_class_bars(
    values: Mapping[str, Mapping[str, float | None]], *, labels: LabelSet, key: str, title: str
) -> None:
    """A group of bars a label: series -> label name -> value of 0..1. The first series is in full colour."""
    figure = go.Figure()
    for number, (series, by_label) in enumerate(values.items()):
        known = {name: value for name, value in by_label.items() if value is not None}
        figure.add_bar(
            name=series,
            x=[label_text(name) for name in known],
            y=list(known.values()),
            text=[f"{value:.2f}" for value in known.values()],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": [label_color(labels, name) for name in known],
                "opacity": 1.0 if number == 0 else 0.4,
                "line": {"color": TRAINING, "width": 1},
            },
        )
    figure.update_layout(
        barmode="group", height=240, margin={"l": 8, "r": 8, "t": 36, "b": 8}, showlegend=False, title={"text": title}
    )
    figure.update_yaxes(range=[0, 1.12], tickvals=[0, 0.25, 0.5, 0.75, 1], gridcolor=_GRID)
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})


def show_confusion(counts: NDArray[Any], labels: LabelSet, *, key: str) -> None:
    """Which class was taken for which, in per cent of each true class. counts: (C, C), truth by row."""
    names = [label_text(name) for name in labels.names]
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / totals.clip(min=1)
    seen = [i for i in range(len(names)) if counts[i].any() or counts[:, i].any()]
    part = shares[seen][:, seen]
    texts = [[f"{share:.1%}" if totals[i, 0] else "-" for share in row] for i, row in zip(seen, part, strict=True)]
    figure = go.Figure(
        go.Heatmap(
            z=part,
            x=[names[i] for i in seen],
            y=[names[i] for i in seen],
            text=texts,
            texttemplate="%{text}",
            zmin=0,
            zmax=1,
            colorscale=[[0, "rgba(122, 105, 221, 0.05)"], [1, "rgba(122, 105, 221, 0.9)"]],
            showscale=False,
            hovertemplate="truth %{y}, predicted %{x}: %{text}<extra></extra>",
        )
    )
    figure.update_layout(height=110 + 46 * len(seen), margin={"l": 8, "r": 8, "t": 8, "b": 8})
    figure.update_xaxes(title="predicted", side="top")
    figure.update_yaxes(title="truth", autorange="reversed")
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})


# ---------------------------------------------------------------------------------------------------------- colours


def label_text(name: str) -> str:
    """A label's name as people read it."""
    return "background" if name == BACKGROUND else name


def hex_of(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def label_color(labels: LabelSet, name: str) -> str:
    """The colour of a label as a bar's filling; grey for background and for labels that are not in the set."""
    return hex_of(labels.labels[labels.id_of(name)].color) if name in labels and name != BACKGROUND else "#b4b4be"


def line_color(color: Color) -> str:
    """A label's colour as a thin line: yellow is darkened until it is seen on white."""
    red, green, blue = color
    light = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    factor = min(1.0, 0.62 / max(light, 0.01))
    return hex_of((round(red * factor), round(green * factor), round(blue * factor)))
