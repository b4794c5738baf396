"""The house: which room may import which. One rule, read from the syntax trees; the message names file and import."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["annotation", "formats", "project", "networks", "inference", "training", "assist", "serving", "commands"]
TORCH_FREE_ROOMS = ["annotation", "formats", "project"]
NEVER = {"labelme", "PyQt5", "PySide6", "qtpy"}  # the user's companion and the tests' oracle, not ours to import


def _imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}: relative import; write it absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(path: Path) -> str:
    parts = path.relative_to(ROOT / "core").parts
    return parts[0] if len(parts) > 1 else ""


def _core_files() -> list[Path]:
    return sorted((ROOT / "core").rglob("*.py"))


def test_a_room_imports_only_rooms_to_its_left() -> None:
    for path in _core_files():
        room = _room(path)
        if path.name == "__main__.py" and room == "":
            continue  # the command line stands over all rooms
        allowed = ROOMS[: ROOMS.index(room) + 1] if room else []
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] != "core" or len(parts) < 2 or parts[1] not in ROOMS:
                continue
            assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_core_knows_no_streamlit_and_no_page() -> None:
    for path in _core_files():
        for name in _imports(path):
            assert name.split(".")[0] not in {"streamlit", "pages", "app"}, f"{path.relative_to(ROOT)} imports {name}"


def test_torch_stays_out_of_the_rooms_that_pages_open_with() -> None:
    for path in _core_files():
        if _room(path) in ("", *TORCH_FREE_ROOMS) and path.name != "__main__.py":
            for name in _imports(path):
                assert name.split(".")[0] not in {"torch", "onnxruntime"}, f"{path.relative_to(ROOT)} imports {name}"


def test_pages_import_neither_torch_nor_each_other() -> None:
    pages = {f"pages.{path.stem}" for path in (ROOT / "pages").glob("*.py")}
    for path in [*(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]:
        for name in _imports(path):
            root = name.split(".")[0]
            assert root not in {"torch", "onnxruntime", "albumentations"}, f"{path.relative_to(ROOT)} imports {name}"
            assert name not in pages, f"{path.relative_to(ROOT)} imports the page {name}"
            assert not any(name.startswith(f"{page}.") for page in pages), f"{path.relative_to(ROOT)} imports {name}"


def test_labelme_and_qt_are_never_imported_at_run_time() -> None:
    for folder in ("core", "pages", "sample_data", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in _imports(path):
                assert name.split(".")[0] not in NEVER, f"{path.relative_to(ROOT)} imports {name}"


def test_init_files_are_empty_or_hold_one_literal_table() -> None:
    tables = {"core/formats/__init__.py", "core/networks/__init__.py", "core/inference/__init__.py"}
    for path in [*(ROOT / "core").rglob("__init__.py"), *(ROOT / "pages").rglob("__init__.py")]:
        if str(path.relative_to(ROOT)) in tables:
            continue
        tree = ast.parse(path.read_text())
        code = [node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
        assert not code, f"{path.relative_to(ROOT)} holds code"
