"""Verbs for many pictures: predict-batch (a folder or zip, resumable, on one machine or many), predict-video."""

import argparse
from pathlib import Path

from core.commands.models import checkpoint_of, load_model
from core.commands.progress import AddVerb, Progress, Result


def add_verbs(verb: AddVerb) -> None:
    many = verb("predict-batch", predict_batch, "predict a folder or zip; goes on where it stopped; one report")
    many.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    many.add_argument("source", type=Path, nargs="+", metavar="SOURCE", help="folders, zips or pictures")
    many.add_argument("--out", type=Path, required=True, metavar="DIR")
    many.add_argument("--formats", default="mask,overlay,labelme", help="of mask, overlay, labelme, geojson, csv")
    many.add_argument("--backend", default="torch", help="auto, or one that `bench` lists")
    many.add_argument("--overlap", type=float, default=0.2, help="of neighbouring windows, 0 to 0.9")
    many.add_argument("--anew", action="store_true", help="do again what an earlier batch has done")
    many.add_argument("--workers", type=int, default=1, metavar="N", help="so many processes, by Dask")
    many.add_argument("--scheduler", metavar="ADDRESS", help="the workers of this Dask scheduler, on other machines")

    filmed = verb("predict-video", predict_video, "predict a video, or a series of pictures in order")
    filmed.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    filmed.add_argument("source", type=Path, metavar="SOURCE", help="a video, or a folder or zip of frames")
    filmed.add_argument("--out", type=Path, required=True, metavar="DIR")
    filmed.add_argument("--backend", default="torch", help="auto, or one that `bench` lists")
    about = "windows whose pixels changed less than this (0 to 255, on average) keep their result; 4 is usual"
    filmed.add_argument("--threshold", type=float, help=about)
    filmed.add_argument("--all-windows", action="store_true", help="compute each window of each frame")


def predict_batch(args: argparse.Namespace) -> Result:
    from core.inference.batch import BatchProgress, predict_batch
    from core.inference.batch_plan import BatchConfig
    from core.inference.fleet import predict_fleet
    from core.inference.rows import PredictConfig

    config = BatchConfig(tuple(args.formats.split(",")), PredictConfig(overlap=args.overlap), resume=not args.anew)
    folder = checkpoint_of(args)
    with Progress("batch") as progress:

        def show(now: BatchProgress) -> None:
            progress.show(now.done, now.total, now.name)

        if args.workers > 1 or args.scheduler:
            report = predict_fleet(
                args.source,
                folder,
                args.out,
                scheduler=args.scheduler,
                workers=args.workers,
                backend=args.backend,
                config=config,
                progress=show,
            )
        else:
            report = predict_batch(args.source, load_model(args), args.out, model=folder, config=config, progress=show)
    return {
        "out": str(report.out),
        "total": report.total,
        "done": report.done,
        "kept": report.kept,
        "failed": [failure._asdict() for failure in report.failures],
        "refused": list(report.refused),
        "areas": list(report.areas),
        "seconds": round(report.seconds, 2),
        "report": str(report.page),
        "text": "\n".join(report.sentences()),
    }


def predict_video(args: argparse.Namespace) -> Result:
    from core.inference.video import ReuseConfig, frames, predict_frames
    from core.inference.video_files import SeriesProgress, write_frames

    given = {} if args.threshold is None else {"threshold": args.threshold}
    reuse = None if args.all_windows else ReuseConfig(**given)
    backend = load_model(args)
    series = frames(args.source, intensity=backend.card.intensity)
    with Progress("video") as progress:

        def show(now: SeriesProgress) -> None:
            progress.show(now.done, now.total or now.done + 1, now.name)

        report = write_frames(
            predict_frames(series.read(), backend, reuse=reuse),
            backend.card.labels,
            args.out,
            total=series.count,
            rate=series.rate,
            progress=show,
        )
    return {
        "out": str(report.out),
        "frames": report.frames,
        "failed": [{"frame": name, "message": reason} for name, reason in report.failures],
        "reused": round(report.reused, 4),
        "overlay": str(report.overlay),
        "seconds": round(report.seconds, 2),
        "text": "\n".join(report.sentences()),
    }
