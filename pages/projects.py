"""Projects: those that are here at a glance, a new one, and what the open one is made of."""

from typing import Final

import streamlit as st

from core.annotation.labels import LabelSet, parse_color, parse_labels_txt
from core.images import IntensityRule
from core.networks.card import is_ensemble, read_card
from core.project.home import create_project, list_projects, projects_home
from core.project.project import PRESET_NAMES, Project
from pages.ui import frame
from pages.ui.cached import rows_of
from pages.ui.gallery import thumbnail
from pages.ui.import_form import import_form
from pages.ui.links import go
from pages.ui.words import count, score

_PRESET_WORDS: Final = {
    "satellite": "Satellite or drone: seen from above, no up or down.",
    "medical": "Medical: grey values carry meaning.",
    "cell": "Cells: many small objects, any orientation.",
    "industrial": "Industrial inspection: rare, small defects.",
    "general": "Anything else.",
}
_PER_ROW: Final = 3


def projects_page(project: Project | None) -> None:
    folders = list_projects()
    if not folders:
        st.info(f"There is no project yet. A project is a folder of pictures with their labels, in {projects_home()}.")
    for start in range(0, len(folders), _PER_ROW):
        for column, folder in zip(st.columns(_PER_ROW), folders[start : start + _PER_ROW], strict=False):
            with column, frame.shown_errors():
                _card(Project.open(folder), is_open=project is not None and folder == project.folder)
    with st.expander("New project", icon=":material/add:", expanded=not folders):
        _new_project()
    if project is None:
        return
    st.subheader(f"Add pictures to {frame.escape(project.settings.name)}", anchor=False)
    import_form(project)
    with st.expander("Labels and settings of this project", icon=":material/tune:"), frame.shown_errors():
        _settings(project)


def _card(project: Project, *, is_open: bool) -> None:
    rows = rows_of(project)
    done = sum(row.state == "done" for row in rows)
    with st.container(border=True, height="stretch"):
        if rows:
            shown = next((row for row in rows if row.state == "done"), rows[0])
            with frame.shown_errors():
                st.image(thumbnail(project, shown, opacity=45, cut=True), width="stretch")
        name = frame.escape(project.settings.name)
        st.markdown(f"**{name}**" + (" :violet-badge[open]" if is_open else ""))
        labels = ", ".join(label.name for label in project.settings.labels.foreground) or "no labels yet"
        st.caption(
            f"{count(len(rows), 'picture')}, {done:,} labelled. Labels: {frame.escape(labels)}. {_quality(project)}"
        )
        with st.container(horizontal=True):
            if st.button("Open", key=f"open-{project.folder.name}", type="secondary"):
                frame.open_named(project.folder.name)
                go("dataset" if done else "annotate")


def _quality(project: Project) -> str:
    """The current model's measured quality, named."""
    model = project.current_model()
    if model is None:
        return "No model yet."
    value = read_card(model).metrics.get("mean_iou_foreground")
    if is_ensemble(model):
        return f"An ensemble: mean IoU of the labels of its models alone {score(value)}, on pictures they held back."
    return f"Model: mean IoU of the labels {score(value)} on validation pictures."


def _new_project() -> None:
    left, right = st.columns(2)
    name = left.text_input("Name", key="new-name", max_chars=80)
    preset = left.radio(
        "Kind of pictures", PRESET_NAMES, index=PRESET_NAMES.index("general"), format_func=_PRESET_WORDS.__getitem__
    )
    labels = right.text_area(
        "Labels, one a line",
        key="new-labels",
        height=150,
        help="What shall be found, as 'building' and 'road'. Leave it empty to take those of the first import.",
    )
    listed = right.file_uploader("or a labels.txt", type=["txt"], key="new-labels-file")
    if st.button("Make the project", type="primary" if not list_projects() else "secondary", disabled=not name.strip()):
        with frame.shown_errors():
            text = listed.getvalue().decode("utf-8-sig", errors="replace") if listed is not None else labels
            known = parse_labels_txt(text) if text.strip() else LabelSet.of(())
            made = create_project(name, preset=preset, labels=known)
            frame.open_named(made.folder.name)
            go("annotate")  # which shows an empty project how pictures come in


def _settings(project: Project) -> None:
    settings = project.settings
    st.caption(f"Folder: {project.folder}. Kind of pictures: {settings.preset}.")
    for label in settings.labels.foreground:
        key = f"{project.folder.name}-{label.name}"
        color, name = st.columns([1, 8], vertical_alignment="bottom")
        chosen = color.color_picker("Colour", "#{:02x}{:02x}{:02x}".format(*label.color), key=f"color-{key}")
        renamed = name.text_input("Label", label.name, key=f"name-{key}", max_chars=80)
        if parse_color(chosen) != label.color:
            project.recolor_label(label.name, parse_color(chosen))
            st.rerun()
        if renamed.strip() and renamed.strip() != label.name:
            with st.spinner(f"Renaming {frame.escape(label.name)} in all pictures", show_time=True):
                project.rename_label(label.name, renamed.strip(), author="rename")
            st.rerun()
    with st.form(f"settings-{project.folder.name}"):
        left, middle, right = st.columns(3)
        added = left.text_input("Further labels, with commas between")
        size = middle.number_input(
            "Side of a pixel (0: unknown)", 0.0, value=settings.pixel_size or 0.0, format="%.6f", step=0.1
        )
        unit = middle.text_input("Unit of that", settings.unit)
        rule = settings.intensity
        fixed = right.radio(
            "Pictures of more than 8 bits",
            [False, True],
            index=int(rule.kind == "fixed"),
            format_func=lambda fixed: "The same values for all" if fixed else "Stretch each by percentiles",
            help="The rule is stored in each model, so it predicts as it was trained. After a change, retrain.",
        )
        low = right.number_input("From", value=rule.low, format="%g")
        high = right.number_input("To", value=rule.high, format="%g")
        if st.form_submit_button("Save settings"):
            project.add_labels(name.strip() for name in added.split(",") if name.strip())
            changed = IntensityRule("fixed" if fixed else "percentile", low, high)
            project.update_settings(pixel_size=size or None, unit=unit.strip() or "px", intensity=changed)
            st.rerun()


with frame.shown_errors():
    opened = frame.open_project()
    frame.heading("Projects", None)
    projects_page(opened)
