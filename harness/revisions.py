"""Two versions of this project side by side: each git revision in a worktree of its own, run as a process of its own.

A revision is whatever git calls one; ``.`` is the working tree as it stands. Nothing of the other version is imported: it is
asked through its command line, and its import path is its own tree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import HarnessFault, UserError

WORKING_TREE = "."
PROBE = "import harness, pathlib; print(pathlib.Path(harness.__file__).resolve().parent.parent)"
ANSWER_S = 60.0


class Revision(msgspec.Struct, frozen=True):
    """A version of this project, checked out at ``tree``."""

    name: str
    """As the user called it."""
    commit: str
    """Short hash; ``+`` behind it: the working tree, which may differ."""
    tree: Path


class Answer(msgspec.Struct, frozen=True):
    """What a command of some revision came to."""

    exit_code: int
    told: dict[str, Any]
    """Its one JSON object; empty if it printed none."""
    errors: str


@contextmanager
def checked_out(name: str, repository: Path) -> Iterator[Revision]:
    """``name`` in a worktree that goes away afterwards; the working tree itself for ``.``. Raises UserError if there is no
    such revision, or if it cannot be run."""
    top = Path(_git(repository, "rev-parse", "--show-toplevel"))
    if name == WORKING_TREE:
        yield Revision(name, _git(top, "rev-parse", "--short", "HEAD") + "+", top)
        return
    commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="torture-revision-") as scratch:
        tree = Path(scratch) / "tree"
        _git(top, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            revision = Revision(name, _git(top, "rev-parse", "--short", commit), tree)
            _check_import_path(revision)
            yield revision
        finally:
            subprocess.run(["git", "-C", str(top), "worktree", "remove", "--force", str(tree)], check=False)


def ask(revision: Revision, arguments: Sequence[str], timeout_s: float) -> Answer:
    """Run ``torture`` of that revision with ``--json``. Raises HarnessFault if it does not end in time."""
    try:
        ended = _python(revision.tree, ["-m", "harness", *arguments, "--json"], timeout_s)
    except subprocess.TimeoutExpired:
        raise HarnessFault(f"{revision.name}: `torture {' '.join(arguments)}` did not end in {timeout_s:g} s") from None
    try:
        told = json.loads(ended.stdout)
    except ValueError:
        told = {}
    return Answer(ended.returncode, told if isinstance(told, dict) else {}, ended.stderr[-2000:])


def _check_import_path(revision: Revision) -> None:
    """An installed copy must not be run in place of the tree."""
    ended = _python(revision.tree, ["-c", PROBE], ANSWER_S)
    if ended.returncode:
        raise UserError(f"{revision.name} ({revision.commit}) is no version of this project that can be run")
    found = ended.stdout.strip()
    if found != str(revision.tree.resolve()):
        raise HarnessFault(f"{revision.name} would run the code in {found}, not its own in {revision.tree}")


def _python(tree: Path, arguments: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """This interpreter on the code of that tree."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _git(where: Path, *arguments: str) -> str:
    try:
        ended = subprocess.run(["git", "-C", str(where), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed; revisions need it") from None
    if ended.returncode:
        what = arguments[-1].removesuffix("^{commit}")
        raise UserError(
            f"git {arguments[0]} {what}: {ended.stderr.strip() or 'no such revision'}; name a commit, a branch or `.`, "
            "or on both sides what was recorded: directories of runs, or baselines"
        )
    return ended.stdout.strip()
