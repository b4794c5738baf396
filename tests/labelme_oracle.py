"""Labelme itself as the judge of our rasterising and of our files. Never imported outside of the tests."""

import importlib.util
import os
import sys
import types
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@cache
def labelme_shapes() -> Any:
    """labelme/utils/shape.py alone, without the desktop toolkit that its package pulls in."""
    package = importlib.util.find_spec("labelme")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the labelme package is not installed: rasterising has no judge here")
    path = Path(package.submodule_search_locations[0]) / "utils" / "shape.py"
    spec = importlib.util.spec_from_file_location("labelme_utils_shape", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    stand_in = types.ModuleType("labelme._label_file")
    stand_in.ShapeDict = dict  # type: ignore[attr-defined]  # it is only named in an annotation
    before = {name: sys.modules.get(name) for name in ("labelme", "labelme._label_file")}
    sys.modules.update({"labelme": types.ModuleType("labelme"), "labelme._label_file": stand_in})
    try:
        spec.loader.exec_module(module)
    finally:
        for name, value in before.items():
            if value is None:
                del sys.modules[name]
            else:
                sys.modules[name] = value
    return module


@cache
def labelme_reader() -> Any:
    """labelme._label_file, which needs Qt's libraries to be importable (no screen)."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    limit = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import labelme._label_file as module
    except ImportError as error:
        pytest.skip(f"labelme cannot be imported here ({error}): our files are not opened by Labelme itself")
    finally:
        Image.MAX_IMAGE_PIXELS = limit  # labelme switches Pillow's limit off for everyone
    return module
