"""The project's own rules, checked: what a linter does not know."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("actors", "serve_app", "persistence", "cluster")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
RAY_WRAPPERS = {"actors/ray_host.py", "actors/ray_service.py", "serve_app/ray_api.py"}
WALL_CLOCKS = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
PINNED = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+")


def sources() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name):
                yield owner.id, node.func.attr
            elif isinstance(owner, ast.Attribute):
                yield owner.attr, node.func.attr


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_concept_with_a_reason(path: Path) -> None:
    """A docstring that says why it exists; a length that can be read; functions that fit on a screen."""
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says why it exists"
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno
            is_list = node.name in ("__init__", "_relation_problems") or path.parent.name in ("commands", "wiring")
            assert is_list or length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


def test_no_rule_and_no_engine_part_reads_a_wall_clock() -> None:
    """Service time is Postgres' plus monotonic time (ARCHITECTURE.md, "Time")."""
    for path in sources():
        if path.relative_to(ROOT).parts[0] != "actors" or "telemetry" in path.parts:
            continue
        assert not WALL_CLOCKS & set(calls(ast.parse(path.read_text()))), path


def test_no_wait_loses_a_cancellation() -> None:
    """Python 3.11's ``wait_for`` drops one that comes just when what it waits for is done, and a loop around it never
    ends. ``asyncio.timeout`` does not."""
    for path in sources():
        assert ("asyncio", "wait_for") not in set(calls(ast.parse(path.read_text()))), path


def test_ray_decorators_stand_in_their_wrappers_alone() -> None:
    """Ray pickles such classes by value: they must close over nothing."""
    decorated = {
        str(path.relative_to(ROOT))
        for path in sources()
        if re.search(r"^@(ray\.remote|serve\.deployment)", path.read_text(), re.MULTILINE)
    }
    assert decorated == RAY_WRAPPERS


def test_no_module_reads_the_environment_when_it_is_imported() -> None:
    """One composition root, no hidden settings."""
    for path in sources():
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            reads = {name for _, name in calls(node)} | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
            assert not reads & {"environ", "getenv"}, path


def test_no_file_knows_where_its_checkout_lies() -> None:
    """A path of one machine is wrong on every other."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file():
            assert str(ROOT) not in path.read_text(errors="replace"), name


def test_the_lock_pins_names_and_versions_alone() -> None:
    """No address: every machine has its own package index."""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert PINNED.fullmatch(line), line
