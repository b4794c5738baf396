"""Random changes of Tiles, one pipeline a kind of picture. Only cheap ones: elastic warps alone would halve the speed.

Whatever moves pixels moves the Mask with nearest neighbour and mirrors at the border, so no class id is invented.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import cv2

from core.annotation.raster import Mask
from core.errors import ConfigError
from core.images import RGB

if TYPE_CHECKING:
    import albumentations

Transform = Any  # albumentations ships no types


class Augmentation:
    """One pipeline of AUGMENTATIONS. Seeded before each batch, so the same Step of the same Run sees the same Tiles."""

    def __init__(self, name: str) -> None:
        if name not in AUGMENTATIONS:
            raise ConfigError(f"There is no augmentation {name!r}.", hint=f"Choose one of {', '.join(AUGMENTATIONS)}.")
        library = _albumentations()
        self._pipeline = library.Compose(AUGMENTATIONS[name](library), seed=0)

    def seed(self, seed: int) -> None:
        self._pipeline.set_random_seed(seed)

    def __call__(self, image: RGB, mask: Mask) -> tuple[RGB, Mask]:
        """image: (H, W, 3), mask: (H, W); both keep their size when H = W."""
        changed = self._pipeline(image=image, mask=mask)
        return changed["image"], changed["mask"]


def _albumentations() -> "albumentations":
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else the import asks the network for a newer version
    import albumentations

    return albumentations


def _affine(library: Any, *, scale: tuple[float, float], degrees: float, p: float) -> Transform:
    return library.Affine(
        scale=scale,
        rotate=(-degrees, degrees),
        balanced_scale=True,
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_NEAREST,
        border_mode=cv2.BORDER_REFLECT_101,
        p=p,
    )


def _light(library: Any, *, strength: float, p: float) -> list[Transform]:
    return [
        library.RandomBrightnessContrast(brightness_limit=strength, contrast_limit=strength, p=p),
        library.RandomGamma(gamma_limit=(70, 140), p=0.2),
    ]


def _camera(library: Any) -> list[Transform]:
    return [
        library.GaussNoise(std_range=(0.02, 0.08), p=0.1),
        library.GaussianBlur(blur_limit=(3, 5), p=0.1),
        library.Downscale(scale_range=(0.5, 0.9), p=0.1),
    ]


def _hue(library: Any) -> Transform:
    return library.HueSaturationValue(hue_shift_limit=8, sat_shift_limit=25, val_shift_limit=10, p=0.2)


def _satellite(library: Any) -> list[Transform]:
    """From above there is no up: all eight orientations are equally likely."""
    turned = [library.D4(p=1.0), _affine(library, scale=(0.75, 1.33), degrees=45, p=0.3)]
    return [*turned, *_light(library, strength=0.2, p=0.5), _hue(library), *_camera(library)]


def _medical(library: Any) -> list[Transform]:
    """Grey values carry meaning, so they change mildly; patients are not always placed the same way."""
    turned = [
        library.HorizontalFlip(p=0.5),
        library.VerticalFlip(p=0.5),
        _affine(library, scale=(0.8, 1.25), degrees=30, p=0.4),
    ]
    return [*turned, *_light(library, strength=0.15, p=0.4), *_camera(library)]


def _cell(library: Any) -> list[Transform]:
    """Any orientation, sizes differ, stains and lamps too."""
    turned = [library.D4(p=1.0), _affine(library, scale=(0.7, 1.4), degrees=45, p=0.3)]
    return [*turned, *_light(library, strength=0.25, p=0.5), _hue(library), *_camera(library)]


def _industrial(library: Any) -> list[Transform]:
    """A fixed camera and lamps that age: little turning, much light."""
    turned = [
        library.HorizontalFlip(p=0.5),
        library.VerticalFlip(p=0.5),
        _affine(library, scale=(0.85, 1.2), degrees=15, p=0.3),
    ]
    return [*turned, *_light(library, strength=0.3, p=0.6), *_camera(library)]


def _general(library: Any) -> list[Transform]:
    """Up stays up."""
    turned = [library.HorizontalFlip(p=0.5), _affine(library, scale=(0.75, 1.33), degrees=15, p=0.4)]
    return [*turned, *_light(library, strength=0.25, p=0.5), _hue(library), *_camera(library)]


def _strong(library: Any) -> list[Transform]:
    """For pictures without labels: nothing moves, but light, contrast, colour and sharpness change much (UniMatch)."""
    return [
        library.RandomBrightnessContrast(brightness_limit=0.4, contrast_limit=0.4, p=0.8),
        library.RandomGamma(gamma_limit=(50, 200), p=0.4),
        library.HueSaturationValue(hue_shift_limit=15, sat_shift_limit=40, val_shift_limit=0, p=0.4),
        library.GaussianBlur(blur_limit=(3, 7), p=0.4),
        library.GaussNoise(std_range=(0.03, 0.1), p=0.2),
    ]


def _turned(library: Any) -> list[Transform]:
    return [library.HorizontalFlip(p=0.5), library.VerticalFlip(p=0.5)]


def _none(library: Any) -> list[Transform]:
    return []


AUGMENTATIONS: Final[dict[str, Callable[[Any], list[Transform]]]] = {
    "satellite": _satellite,
    "medical": _medical,
    "cell": _cell,
    "industrial": _industrial,
    "general": _general,
    "none": _none,
    "strong": _strong,  # these two: see unlabelled.py
    "turned": _turned,
}
