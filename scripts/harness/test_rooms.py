"""The rooms of this repository: imports between those in Python point one way, and the documents name every one."""

import ast
import tomllib

import pytest

from harness.lakehouse import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"
# What each room in Python may import from the others.
ROOMS = ("end-to-end", "deploy", "readers", "chaos", "soak", "bench")
MAY_IMPORT = {"harness": set()} | {room: {"harness"} for room in ROOMS}
MAPS = ["CONTRIBUTING.md", "docs/architecture.md"]


def modules():
    return sorted(path for path in SCRIPTS.rglob("*.py") if not path.relative_to(SCRIPTS).parts[0].startswith("."))


def room_of(path):
    return path.relative_to(SCRIPTS).parts[0]


def imported(path):
    """The packages that a module imports, by their first names."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def rooms():
    """The folders that a map must name: those of scripts, and those of the workspace's crates."""
    workspace = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]
    folders = [f"scripts/{path.name}" for path in SCRIPTS.iterdir() if path.is_dir() and path.name[0] not in "._"]
    return sorted({*workspace["members"], *folders})


def test_every_room_in_python_is_known():
    assert {room_of(path) for path in modules()} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_a_module_imports_its_own_room_and_those_below(path):
    room = room_of(path)
    assert imported(path) & MAY_IMPORT.keys() <= MAY_IMPORT[room] | {room}


@pytest.mark.parametrize("page", MAPS)
def test_a_map_names_every_room(page):
    text = (REPOSITORY / page).read_text()
    assert not [room for room in rooms() if f"`{room}`" not in text]
