"""The back ends of a model side by side: what this machine makes of each, and which one the app takes."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import streamlit as st

from core.inference.bench import Bench, Measured
from core.networks.card import is_ensemble
from core.project.project import Project
from pages.ui.cached import bench_of
from pages.ui.models import Model
from pages.ui.progress import show_failure, show_progress
from pages.ui.running_model import begin_bench, bench_work, forget_bench

TITLES: Final = {
    "torch-eager": "PyTorch, plain",
    "torch-float32": "PyTorch, tuned",
    "torch": "PyTorch, tuned, 16-bit",
    "onnx": "ONNX Runtime",
    "onnx-int8": "ONNX Runtime, 8-bit",
    "onnx-cuda": "ONNX Runtime, NVIDIA card",
    "openvino": "OpenVINO, its own choice",
    "openvino-float32": "OpenVINO, 32-bit",
    "openvino-int8": "OpenVINO, 8-bit",
    "tensorrt": "TensorRT, NVIDIA card",
}
_TAKEN, _OFFERED, _REFUSED = "taken", "agrees", "does not agree"
_COLORS: Final = {_TAKEN: "#009e73", _OFFERED: "#7a69dd", _REFUSED: "#8b8b9b"}
_FORMATS: Final = {
    "Time, ms": "%.1f",
    "Times as fast": "%.2f",
    "IoU of masks": "%.4f",
    "Largest difference": "%.4f",
    "Memory, MB": "%.0f",
    "First mask, s": "%.1f",
}
_BAR: Final = 26  # pixels of height
_AROUND: Final = 90  # legend and axis


def show_back_ends(project: Project, model: Model) -> None:
    """The whole block: what was measured, and the button that measures."""
    if is_ensemble(model.folder):
        st.info("An ensemble is computed by each of its models in turn. Compare one of them instead.")
        return
    going = bench_work(project)
    if going is not None and not going.over.is_set():
        st.caption("Each way is loaded in a process of its own, then they are timed in turn.")
        show_progress(going, key=f"bench-{project.folder.name}")
        return
    if going is not None:
        show_failure(going, forget=partial(forget_bench, project))
    found = bench_of(model.folder)
    if found is None:
        st.markdown(
            "The same model can be computed in several ways. Which one is fastest depends on this machine; whether one "
            "gives the same masks depends on the model. Both are measured, on your own pictures."
        )
        label, kind = "Compare on this machine", "primary"
    else:
        _show(found)
        label, kind = "Compare again", "secondary"
    said = "About a minute, in the background."
    if st.button(label, type=kind, icon=":material/speed:", help=said):  # type: ignore[arg-type]  # one of its literals
        begin_bench(project, model.folder)
        st.rerun()


def _show(bench: Bench) -> None:
    there = sorted((one for one in bench.backends if not one.problem), key=lambda one: one.ms)
    best = next(one for one in there if one.name == bench.best)
    st.markdown(
        f"**{TITLES[best.name]}** is taken: **{best.ratio:.1f} times** as fast as plain PyTorch, "
        f"{best.ms:.0f} ms for {bench.side} x {bench.side} pixels."
    )
    _chart(there, bench.best)
    st.dataframe(
        [_row(one, bench.best) for one in there],
        hide_index=True,
        width="stretch",
        height="content",
        column_config={name: st.column_config.NumberColumn(format=form) for name, form in _FORMATS.items()},
    )
    pictures = "pictures of the project" if bench.real_pictures else "made pictures (there were none of its project)"
    st.caption(
        f"{bench.machine}; {pictures}. A way is offered where its masks agree with the network's to an IoU of 0.995, "
        "8-bit ones to 0.99. Memory is that of a process that does nothing else."
    )
    missing = [one for one in bench.backends if one.problem]
    if missing:
        with st.expander(f"{len(missing)} not on this machine"):
            for one in missing:
                st.markdown(f"**{TITLES[one.name]}**: {one.problem}")


def _row(one: Measured, best: str) -> dict[str, Any]:
    return {
        "Way": TITLES[one.name],
        "Name": one.name,
        "Time, ms": one.ms,
        "Times as fast": one.ratio,
        "IoU of masks": one.mask_iou,
        "Largest difference": one.max_difference,
        "Memory, MB": one.memory_mb,
        "First mask, s": one.load_seconds,
        "": _verdict(one, best),
    }


def _verdict(one: Measured, best: str) -> str:
    return _TAKEN if one.name == best else _OFFERED if one.agrees else _REFUSED


def _chart(there: Sequence[Measured], best: str) -> None:
    """Bars: how many times faster than plain PyTorch."""
    rows = [{"way": TITLES[one.name], "times": one.ratio, "verdict": _verdict(one, best)} for one in there]
    y = {
        "field": "way",
        "type": "nominal",
        "title": None,
        "sort": None,
        "axis": {"labelLimit": 220, "labelOverlap": False},
    }
    axis = {"grid": False, "tickCount": 5}
    x = {"field": "times", "type": "quantitative", "title": "times as fast as plain PyTorch", "axis": axis}
    color = {
        "field": "verdict",
        "type": "nominal",
        "scale": {"domain": list(_COLORS), "range": list(_COLORS.values())},
        "legend": {"orient": "top", "title": None},
    }
    text = {"field": "times", "type": "quantitative", "format": ".1f"}
    spec = {
        "height": _BAR * len(rows) + _AROUND,
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "cornerRadiusEnd": 3}, "encoding": {"color": color}},
            {"mark": {"type": "text", "align": "left", "dx": 4, "color": "#8b8b9b"}, "encoding": {"text": text}},
        ],
    }
    st.vega_lite_chart(rows, spec, width="stretch", key="bench-chart")
