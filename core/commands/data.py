"""Verbs about a Project's pictures and labels: create, import, export-labels, report."""

import argparse
from pathlib import Path

from core.annotation.labels import LabelSet, parse_labels_txt
from core.commands.progress import AddVerb, Progress, Result
from core.errors import ReadError
from core.formats import FORMATS
from core.project.project import PRESET_NAMES, Project


def add_verbs(verb: AddVerb) -> None:
    made = verb("create", create, "make a new project")
    made.add_argument("project", type=Path, metavar="PROJECT")
    made.add_argument("--preset", choices=PRESET_NAMES, default="general")
    made.add_argument("--labels", type=Path, help="a labels.txt, one name a line")
    made.add_argument("--label", action="append", default=[], metavar="NAME", help="a label; may be repeated")

    brought = verb("import", import_, "bring pictures and annotations into a project")
    brought.add_argument("project", type=Path, metavar="PROJECT")
    brought.add_argument("source", type=Path, metavar="SOURCE", help="a file, a folder or a zip")
    brought.add_argument("--images", type=Path, help="where the pictures are, when not beside the annotations")
    brought.add_argument("--format", default="auto", help=f"auto, or one of {', '.join(FORMATS)}")

    taken = verb("export-labels", export_labels, "write the finished annotations as a zip in another format")
    taken.add_argument("project", type=Path, metavar="PROJECT")
    able = [name for name, format in FORMATS.items() if format.write]
    taken.add_argument("--to", required=True, choices=able, metavar="FORMAT", help=f"one of {', '.join(able)}")
    taken.add_argument("--out", type=Path, required=True, metavar="ZIP")
    taken.add_argument("--part", choices=("train", "val", "test"), help="only this part of the split")
    taken.add_argument("--without-pictures", action="store_true", help="the labels only")

    told = verb("report", report, "say what a project holds and what is wrong with it")
    told.add_argument("project", type=Path, metavar="PROJECT")


def create(args: argparse.Namespace) -> Result:
    names = list(args.label)
    if args.labels:
        names = [*parse_labels_txt(_read_text(args.labels), name=args.labels.name).names, *names]
    labels = LabelSet.of(dict.fromkeys(names))
    project = Project.create(args.project, name=args.project.resolve().name, preset=args.preset, labels=labels)
    drawn = [label.name for label in labels.foreground]
    text = f"Created {project.folder} ({args.preset}), labels: {', '.join(drawn) or 'those of the first import'}"
    return {"project": str(project.folder), "preset": args.preset, "labels": drawn, "text": text}


def import_(args: argparse.Namespace) -> Result:
    from core.formats.source import open_source
    from core.project.importing import import_source

    project = Project.open(args.project)
    source = open_source(args.source)
    images = open_source(args.images) if args.images else None
    with Progress("import") as progress:
        report = import_source(
            project,
            source,
            images=images,
            format=args.format,
            progress=lambda done, total, name: progress.show(done, total, name),
        )
    return {**report.to_json(), "text": "\n".join(report.sentences())}


def export_labels(args: argparse.Namespace) -> Result:
    from core.project.exporting import export_labels as export

    project = Project.open(args.project)
    with Progress("export") as progress:
        told = export(
            project,
            args.to,
            args.out,
            part=args.part,
            with_pictures=not args.without_pictures,
            progress=lambda done, total, name: progress.show(done, total, name),
        )
    return {**told.to_json(), "out": str(args.out), "text": "\n".join(told.sentences())}


def report(args: argparse.Namespace) -> Result:
    from core.project.index import Index
    from core.project.report import make_report
    from core.project.split import read_split

    project = Project.open(args.project)
    index = Index(project)
    with Progress("index") as progress:
        index.refresh(progress=lambda done, total: progress.show(done, total, ""))
    found = make_report(index.rows(), read_split(project.folder), project.settings.labels)
    model = project.current_model()
    states = found.states
    lines = [
        f"{project.settings.name}: {found.pictures} pictures, {states['done']} done, {states['doing']} begun, "
        f"{states['review']} need review, {states['todo']} to do",
        *(
            f"  {name}: {found.pixels[name]} pixels, {found.objects.get(name, 0)} objects in {count} pictures"
            for name, count in found.pictures_with.items()
        ),
        f"{len(found.problems)} problems" if found.problems else "No problems",
        *(f"  {problem.sample} {problem.text}" for problem in found.problems),
    ]
    return {**found.to_json(), "current_model": str(model) if model else None, "text": "\n".join(lines)}


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read ({error}).", hint="Give a text file in UTF-8.") from error
