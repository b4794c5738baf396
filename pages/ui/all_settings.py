"""Every setting of a training in one table, each explained, for the few who look for one."""

import hashlib
from collections.abc import Mapping
from typing import Final

import streamlit as st

from core.training.config import TrainingConfig

IN_FORM: Final = (  # these have a place of their own
    "epochs",
    "steps_per_epoch",
    "minutes",
    "batch",
    "tile",
    "learning_rate",
    "augment",
    "network.name",
    "preset",
)

WORDS: Final[Mapping[str, str]] = {
    "pretrained": "Begin with an encoder that has learned from ImageNet (efficient_unet only).",
    "accumulate": "So many batches make a step: larger steps in the same memory.",
    "optimizer": "adamw, radam, or sgd with Nesterov's momentum.",
    "momentum": "Of sgd: how much of the last step goes on.",
    "weight_decay": "Pulls the weights towards 0, against learning by heart.",
    "warm_up": "Share of the training in which the learning rate rises from 0.",
    "schedule": "How the learning rate falls until the end: cosine, poly, step, plateau, or constant.",
    "drops": "Of step: how often the learning rate drops.",
    "drop_factor": "Of step and plateau: to this part of itself.",
    "plateau_epochs": "Of plateau: it drops after so many measurements that are not better.",
    "patience": "The training ends after so many measurements that are not better; 0: never.",
    "cross_entropy": "Weight of the loss that counts each pixel alike.",
    "dice": "Weight of the loss that counts each label alike, however small.",
    "lovasz": "Weight of the loss that follows IoU itself.",
    "focal": "Weight of the loss that counts unsure pixels more.",
    "tversky": "Weight of the loss that counts misses and false alarms apart: for rare things.",
    "ohem": "Weight of the loss over the hardest pixels only.",
    "boundary": "Weight of the loss near borders between labels.",
    "focal_gamma": "Of focal: how little sure pixels count.",
    "tversky_alpha": "Of tversky: what a false alarm weighs.",
    "tversky_beta": "Of tversky: what a miss weighs.",
    "ohem_share": "Of ohem: the part of the pixels that counts.",
    "boundary_width": "Of boundary: how many pixels from a border count.",
    "cut_mix": "Chance of a tile to get a rectangle of another one.",
    "copy_paste": "Chance of a tile to get objects of another one: for rare things.",
    "class_weights": "none, inverse or median: pixels of rare labels count more.",
    "consistency": "How much pictures without labels teach; 0: not at all. No gain in the same time was measured yet.",
    "unlabelled_batch": "Tiles of such pictures in each step.",
    "sure": "From this probability on a prediction on them counts as a label.",
    "foreground_share": "Part of the tiles that is centred on something drawn.",
    "ema_decay": "The model is a running mean of the weights; 0: the last weights.",
    "gradient_clip": "Longest step that a batch may ask for; 0: any.",
    "smooth": "Predicted borders are smoothed over so many pixels; 0: not. Quality is measured after that, as below.",
    "close": "Gaps in a predicted label up to so many pixels are closed; 0: not.",
    "split": "Predicted objects that touch are parted by a line.",
    "drop_below": "Predicted objects of fewer pixels are dropped; 0: none.",
    "fill": "Holes of fewer pixels in predicted objects are filled; 0: none.",
    "open": "Whiskers and bridges narrower than so many pixels are cut off predicted objects; 0: none.",
    "right_angles": "Predicted objects that are nearly right-angled, as buildings are, get right angles.",
    "validate_every": "Epochs between two measurements.",
    "validation_megapixels": "So many pixels are measured after an epoch; at the end all are.",
    "previews": "Sample pictures shown while it trains.",
    "seed": "Another number: another random order, the same otherwise.",
    "device": "auto, cpu, or cuda (a graphics card).",
    "precision": "auto, fp32, bf16 or fp16: half precision is faster where the processor has it.",
    "network.width": "Channels at full resolution: twice as many take about four times as long.",
    "network.depth": "How often the side is halved (efficient_unet: always 5).",
    "network.up": "How the decoder enlarges: bilinear or transposed.",
    "network.down": "How a UNet shrinks: pool, or strided convolution.",
    "network.activation": "relu, silu or leaky_relu.",
    "network.norm": "batch, group or instance: group and instance for batches under 8.",
    "network.attention": "none, or cbam: weighs channels and places (UNets only).",
    "network.init": "How weights begin: he_normal and he_uniform (also called Kaiming's), or xavier.",
    "network.supervision": "Levels of the decoder that have to answer too while it trains.",
    "network.early_exit": "A prediction ends early where it is sure of every pixel: faster on empty pictures.",
}


def edit_all(config: TrainingConfig, scope: str) -> TrainingConfig:
    """The table, and `config` with what was changed in it. Raises ConfigError for a value that cannot be."""
    known = {name: value for name, value in config.as_settings().items() if name not in IN_FORM}
    rows = [{"Setting": name, "Value": value, "What it does": WORDS[name]} for name, value in known.items()]
    digest = hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()[:8]
    edited = st.data_editor(
        rows,
        disabled=["Setting", "What it does"],
        hide_index=True,
        width="stretch",
        height=320,
        key=f"train-{scope}-all-{digest}",
    )
    values = {row["Setting"]: (row["Value"] or "").strip() for row in edited}
    return config.with_settings({name: value for name, value in values.items() if value != known[name]})
