"""The protocol code does no input and output: what its modules import proves it.

Everything they reach of their own package is walked. ``random`` may be named for types only, and nothing of it be called:
streams of numbers are handed in.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import paxos_impl

PACKAGE = Path(paxos_impl.__file__).parent
HOSTED = PACKAGE / "process"
"""Hosts agents in operating-system processes: the one part that may do what the others must not."""
FORBIDDEN = {
    "asyncio", "builtins.open", "concurrent", "ctypes", "datetime", "io", "mmap", "multiprocessing", "os", "pathlib",
    "queue", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "subprocess", "tempfile",
    "threading", "time", "uuid", "psutil",
}  # fmt: skip
OUTSIDERS = {"harness", "nemesis", "reports"}
TOOLING = {"mutants/registry.py": {"pathlib"}, "rules.py": set()}
"""Modules no agent imports, and what they may use to find and load files."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if HOSTED not in path.parents)


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            found.add((node.module or "").partition(".")[0])
            if node.module == "paxos_impl" or (node.module or "").startswith("paxos_impl."):
                found.add("process" if "process" in (node.module or "") else "paxos_impl")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_clock_no_randomness_no_input_no_output(path: Path) -> None:
    tree = ast.parse(path.read_text())
    allowed = TOOLING.get(str(path.relative_to(PACKAGE)), set())
    assert not imported(tree) & (FORBIDDEN - allowed)
    assert not imported(tree) & (OUTSIDERS | {"process"})
    if not allowed:
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"open", "print", "input", "exec", "eval", "id", "hash", "__import__"}


def test_the_walk_sees_the_protocol() -> None:
    names = {path.name for path in MODULES}
    assert {"acceptor.py", "proposer.py", "learner.py", "log.py", "gate.py", "client.py", "node.py"} <= names


def test_the_walk_would_see_a_clock() -> None:
    assert imported(ast.parse("def f():\n    from time import monotonic_ns\n    import os.path\n")) == {"time", "os"}


@pytest.mark.parametrize("tool", ["registry.py"])
def test_no_agent_imports_the_tooling(tool: str) -> None:
    stem = tool.removesuffix(".py")
    for path in MODULES:
        if path.parent == PACKAGE and path.name != "rules.py":
            assert f"mutants.{stem}" not in path.read_text(), path
