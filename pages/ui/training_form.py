"""Before a training: what it will learn from, with which settings, how long it takes here."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import psutil
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.annotation.labels import LabelSet
from core.errors import ConfigError
from core.project.index import SampleRow
from core.project.project import Project
from core.project.report import usable
from core.project.split import Part, assign, read_split
from core.training.config import AUGMENTATION_NAMES, TrainingConfig
from core.training.estimate import cached_estimate, estimate_memory, measure_in_background, rough_estimate
from core.training.presets import CLASSIC, CLASSIC_SUFFIX, PRESETS, DataFacts, facts_of, propose
from pages.ui.all_settings import edit_all
from pages.ui.cached import Shelf, stamp_of
from pages.ui.cross_validation import choose_folds
from pages.ui.links import link
from pages.ui.words import count, duration, listed, memory

PRESET_WORDS: Final = {
    "satellite": "From above there is no up: pictures are turned and mirrored in all eight directions.",
    "medical": "Grey values carry meaning: light changes mildly, pictures are mirrored and turned up to 30 degrees.",
    "cell": "Any orientation; sizes, stains and lamps vary much.",
    "industrial": "A fixed camera: little turning, much change of light, and half of the tiles show a defect.",
    "general": "Up stays up: pictures are mirrored left to right, light and size vary.",
}
CLASSIC_WORDS: Final = {
    "satellite": "A UNet with attention (CBAM) from scratch, AdamW with a learning rate of 0.0001.",
    "medical": "A UNet with SiLU from scratch, RAdam with a learning rate of 0.00005.",
    "cell": "A shallow UNet from scratch, SGD with Nesterov's momentum and a learning rate of 0.0002.",
    "industrial": "A UNet that shrinks by strided convolution, from scratch, AdamW with a learning rate of 0.0001.",
}
_NETWORKS: Final = {
    "efficient_unet": "Small UNet on EfficientNet-Lite0, pretrained (fast)",
    "unet": "Classic UNet, from scratch",
    "residual_unet": "Residual UNet, from scratch",
}

_drawn_parts: Final = Shelf[Mapping[str, Part]](limit=20)


@dataclass(frozen=True)
class TrainingSet:
    """What a training begun now would learn from."""

    rows: Sequence[SampleRow]  # that train or validate
    train: Sequence[SampleRow]
    val: Sequence[SampleRow]
    doing: int  # begun, not finished: left out
    review: int  # waits for a review: left out
    broken: Sequence[str]  # done, but unreadable or of another size
    labels: LabelSet

    @property
    def facts(self) -> DataFacts:
        return facts_of(self.rows, classes=len(self.labels))


def training_set(project: Project, rows: Sequence[SampleRow]) -> TrainingSet:
    """The pictures of the Project as `create_run` would divide them; nothing is written."""
    chosen = [row for row in rows if usable(row)]
    parts = _parts(project, chosen)
    return TrainingSet(
        rows=chosen,
        train=[row for row in chosen if parts[row.name] == "train"],
        val=[row for row in chosen if parts[row.name] == "val"],
        doing=sum(row.state == "doing" for row in rows),
        review=sum(row.state == "review" for row in rows),
        broken=[row.name for row in rows if row.state == "done" and not usable(row)],
        labels=project.settings.labels,
    )


def _parts(project: Project, rows: Sequence[SampleRow]) -> Mapping[str, Part]:
    """The part of each Sample; remembered, since to draw it for thousands takes seconds."""
    stamps = "".join(f"{row.name}{row.stamp}" for row in rows)
    digest = hashlib.sha256(stamps.encode()).hexdigest()
    key = f"{project.folder}:{stamp_of(project.folder / 'split.json')}:{digest}"
    found = _drawn_parts.get(key)
    if found is None:
        found = assign([row.name for row in rows], read_split(project.folder), {row.name: _shows(row) for row in rows})
        _drawn_parts.put(key, found, 1)
    return found


def show_set(chosen: TrainingSet) -> DeltaGenerator | None:
    """What will be trained, in numbers and warnings; None, with what to do next, where nothing can be.

    Returns the place beside the numbers where the estimate stands.
    """
    if len(chosen.labels) < 2:
        st.info("This project has no label yet. Add labels and mark them in some pictures, then train.")
        link("annotate", "Mark labels in pictures")
        return None
    if not chosen.rows:
        started = f" {count(chosen.doing, 'picture')} are begun: finish them." if chosen.doing else ""
        st.info(f"No picture is finished yet, so there is nothing to learn from.{started}")
        link("annotate", "Finish a picture")
        return None
    if not any(_shows(row) for row in chosen.train):
        st.info("Nothing is marked in the pictures that train. Mark at least one object in one of them.")
        link("annotate", "Mark an object")
        return None
    left, middle, right, last = st.columns(4)
    left.metric("Pictures to learn from", len(chosen.train), border=True)
    middle.metric(
        "Pictures to validate on",
        len(chosen.val),
        border=True,
        help="Held back from learning. The quality is measured on them. A picture stays on its side for ever.",
    )
    names = [label.name for label in chosen.labels.foreground]
    right.metric("Labels", len(names), help=listed(names, 12), border=True)
    for text in warnings(chosen):
        st.warning(text, icon=":material/warning:")
    if chosen.doing:
        st.caption(f"{count(chosen.doing, 'picture')} begun but not finished: left out until marked as done.")
    if chosen.review:
        st.caption(f"{count(chosen.review, 'picture')} waiting for a review: left out until marked as done.")
    return last


def warnings(chosen: TrainingSet) -> list[str]:
    """What makes a training less good than it could be, in sentences."""
    found = []
    if len(chosen.rows) < 2:
        found.append("Only one picture is finished, so nothing is left to validate on. Finish at least one more.")
    for part, rows in (("learns from", chosen.train), ("validates on", chosen.val)):
        shown = {class_id for row in rows for class_id in _shows(row)}
        missing = [label.name for i, label in enumerate(chosen.labels.foreground, start=1) if i not in shown]
        if missing and rows:
            found.append(f"No picture that the training {part} shows {listed(missing)}.")
    if chosen.broken:
        found.append(
            f"{count(len(chosen.broken), 'finished picture')} cannot be used ({listed(list(chosen.broken), 3)}): "
            "the Data set page says why."
        )
    return found


def choose_settings(project: Project, chosen: TrainingSet) -> tuple[TrainingConfig, str, int] | None:
    """The settings that the person wants, a name, and how many folds (0: none); None while they cannot be."""
    names = list(PRESETS)
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    preset = left.selectbox(
        "Kind of pictures",
        names,
        index=names.index(project.settings.preset),
        format_func=str.capitalize,
        key=f"train-{project.folder.name}-preset",
    )
    right.caption(PRESET_WORDS[preset])
    with st.expander("Settings", icon=":material/tune:"):
        st.caption("They fit your pictures already; a first model needs no change here.")
        recipe = _choose_recipe(preset, f"{project.folder.name}-{preset}")
        config, scope = propose(recipe, chosen.facts), f"{project.folder.name}-{recipe}"
        try:
            changed, name = _numbers(config, scope, chosen.facts)
            if st.toggle("All settings", key=f"train-{scope}-all"):
                changed = edit_all(changed, scope)
            folds = choose_folds(project, chosen.rows, key=f"train-{project.folder.name}-folds")
        except ConfigError as error:
            st.error(f"{error.message} {error.hint}".strip())
            return None
    st.markdown(_in_words(changed, chosen.facts))
    return changed, name, folds


def _choose_recipe(kind: str, scope: str) -> str:
    """The preset's name: the tuned one, or the classic of the same kind."""
    if kind not in CLASSIC:
        return kind
    classic = st.segmented_control(
        "Recipe",
        [False, True],
        default=False,
        required=True,
        format_func=lambda classic: "Classic" if classic else "Tuned (proposed)",
        key=f"train-{scope}-recipe",
        help="Tuned was found by measurement, and is better in the same time on all the sets that we measured. "
        f"Classic is what tutorials recommend. {CLASSIC_WORDS[kind]}",
    )
    return kind + CLASSIC_SUFFIX if classic else kind


def show_estimate(config: TrainingConfig, facts: DataFacts, *, times: int = 1) -> None:
    """Time and memory on this machine for so many trainings; measured in the background where nothing is known yet."""
    known = cached_estimate(config, facts)
    st.fragment(_estimate, run_every=None if known is not None else "4s")(config, facts, times)


def _estimate(config: TrainingConfig, facts: DataFacts, times: int) -> None:
    seconds, note = cached_estimate(config, facts), "As measured on this machine."
    if seconds is None:
        seconds, note = rough_estimate(config, facts), "A first guess; this machine is being measured."
        asked = st.session_state.setdefault("train-measured", {})
        ticks = asked[repr(config)] = asked.get(repr(config), 0) + 1
        if ticks == 2:  # a person who clicks at once gets the whole machine
            measure_in_background(config)
    need, free = estimate_memory(config), psutil.virtual_memory().available
    note += f" Memory: about {memory(need)}, {memory(free)} are free."
    st.metric("Time needed here, about", duration(times * seconds), help=note, border=True)
    if need > free:
        st.warning(f"That needs {memory(need)} of memory, and {memory(free)} are free. Choose fewer or smaller tiles.")


# ---------------------------------------------------------------------------------------------------------- numbers


def _numbers(config: TrainingConfig, scope: str, facts: DataFacts) -> tuple[TrainingConfig, str]:
    """The form. A key holds its default, so that a new proposal is not hidden by what was there before."""

    def key(name: str) -> str:
        return f"train-{scope}-{name}-{getattr(config, name, '')}"

    passes = _passes(config, facts) / config.epochs
    left, middle, right = st.columns(3)
    with left:
        epochs = st.number_input(
            "Epochs",
            1,
            100_000,
            config.epochs,
            key=key("epochs"),
            help="Each ends with a measurement and a point on the curves. "
            f"One is about {passes:.1f} passes over the pictures.",
        )
        steps = st.number_input("Steps an epoch", 1, 100_000, config.steps_per_epoch, key=key("steps_per_epoch"))
        minutes = st.number_input(
            "Stop after minutes (0: no limit)", 0, 100_000, 0, key=key("minutes"), help="Whatever the epochs."
        )
    with middle:
        batch = st.number_input(
            "Tiles a step", 1, 512, config.batch, key=key("batch"), help="The batch: more need more memory."
        )
        multiple = config.network.multiple_of
        tile = st.number_input(
            "Side of a tile in pixels",
            multiple,
            2048,
            config.tile,
            step=multiple,
            key=key("tile"),
            help="Larger tiles show more of the surroundings and need more memory.",
        )
        rate = st.number_input(
            "Learning rate", 1e-6, 1.0, config.learning_rate, step=1e-4, format="%.5f", key=key("learning_rate")
        )
    with right:
        network = st.selectbox(
            "Network",
            list(_NETWORKS),
            index=list(_NETWORKS).index(config.network.name),
            format_func=lambda name: _NETWORKS[name],
            key=key("network_name"),
        )
        augment = st.selectbox(
            "Variation of the pictures",
            AUGMENTATION_NAMES,
            index=AUGMENTATION_NAMES.index(config.augment),
            key=key("augment"),
            help="Tiles are turned, mirrored and lit differently, so that few pictures teach more.",
        )
        name = st.text_input("Name of this run", key=key("name"), placeholder=config.preset, max_chars=60)
    if network != config.network.name:
        config = config.with_settings({"network.name": network})
    changed = replace(
        config,
        epochs=epochs,
        steps_per_epoch=steps,
        minutes=minutes or None,
        batch=batch,
        tile=tile,
        learning_rate=rate,
        augment=augment,
    )
    return changed, name


def _passes(config: TrainingConfig, facts: DataFacts) -> float:
    return config.steps * config.step_tiles * config.tile**2 / max(facts.total_pixels, 1)


def _in_words(config: TrainingConfig, facts: DataFacts) -> str:
    passes = _passes(config, facts)
    times = f"{passes:.0f} passes" if passes >= 1.5 else f"{passes:.1f} of a pass"
    limit = f", at most {duration(config.minutes * 60)}" if config.minutes else ""
    return (
        f"{config.epochs} epochs of {count(config.steps_per_epoch, 'step')}{limit}. Each step learns from "
        f"{count(config.step_tiles, 'tile')} of {config.tile} x {config.tile} pixels: {times} over the pictures in all."
    )


def _shows(row: SampleRow) -> set[int]:
    return {class_id for class_id, pixels in row.pixels.items() if pixels and 0 < class_id < 255}
