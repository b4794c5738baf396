"""Tiny Projects to train on: bright squares on dark ground, found by a network of width 4 within seconds."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, Rectangle
from core.images import ImageSize, encode_png
from core.networks.card import NetworkConfig
from core.project.project import Project
from core.training.config import TrainingConfig

SIDE = 48

TINY = TrainingConfig(
    network=NetworkConfig(name="unet", width=4, depth=2, up="bilinear"),
    pretrained=False,
    epochs=2,
    steps_per_epoch=4,
    batch=4,
    tile=32,
    learning_rate=0.02,
    warm_up=0.0,
    augment="none",
    ema_decay=0.5,
    device="cpu",
)


def make_project(folder: Path, *, pictures: int = 6, labels: tuple[str, ...] = ("square",)) -> Project:
    """Picture i holds one square; its label takes turns."""
    project = Project.create(folder, name="Squares", labels=LabelSet.of(labels))
    for i in range(pictures):
        add_picture(project, i, label=labels[i % len(labels)])
    return project


def add_picture(project: Project, number: int, *, label: str = "square") -> str:
    random = np.random.default_rng(number)
    image = random.integers(20, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    top, left = (int(x) for x in random.integers(4, SIDE - 24, 2))
    image[top : top + 20, left : left + 20] += 150
    name = project.add_image(encode_png(image), filename=f"scene{number:02d}.png").sample
    square = Rectangle(label=label, points_xy=((left, top), (left + 19, top + 19)))
    project.save_annotation(name, Annotation(size=ImageSize(SIDE, SIDE), shapes=(square,)), author="test")
    return name


def tiny(**changes: object) -> TrainingConfig:
    return replace(TINY, **changes)  # type: ignore[arg-type]
