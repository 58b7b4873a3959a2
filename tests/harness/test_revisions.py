"""Two versions side by side: each runs its own tree, and nothing stays behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.errors import HarnessFault, UserError
from harness.revisions import ask, checked_out

CLI = """import json, pathlib, sys
if "slow" in sys.argv:
    import time; time.sleep(60)
print("noise", file=sys.stderr)
print(json.dumps({"tree": str(pathlib.Path(__file__).parent.parent), "args": sys.argv[1:]}))
sys.exit(4)
"""


def git(where: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(where), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a package ``harness`` of its own in two commits."""
    top = tmp_path / "repository"
    (top / "harness").mkdir(parents=True)
    (top / "harness" / "__init__.py").write_text("")
    (top / "harness" / "__main__.py").write_text(CLI)
    git(top, "init", "--quiet")
    git(top, "add", "-A")
    git(top, "commit", "--quiet", "-m", "one")
    (top / "harness" / "new.py").write_text("")
    git(top, "add", "-A")
    git(top, "commit", "--quiet", "-m", "two")
    return top


def test_a_revision_runs_its_own_tree_and_leaves_nothing_behind(repository: Path) -> None:
    with checked_out("HEAD~1", repository) as revision:
        assert not (revision.tree / "harness" / "new.py").exists()
        answer = ask(revision, ["gate", "--x"], 30)
        assert answer.exit_code == 4
        assert answer.told == {"tree": str(revision.tree), "args": ["gate", "--x", "--json"]}
        assert "noise" in answer.errors
    assert not revision.tree.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_dot_is_the_working_tree_as_it_stands(repository: Path) -> None:
    (repository / "harness" / "uncommitted.py").write_text("")
    with checked_out(".", repository / "harness") as revision:
        assert revision.tree == repository
        assert revision.commit.endswith("+")
        assert (revision.tree / "harness" / "uncommitted.py").exists()
    assert repository.exists()


@pytest.mark.parametrize("name", ["no-such-branch", "--help", ""])
def test_an_unknown_revision_is_a_mistake_of_the_user(repository: Path, name: str) -> None:
    with pytest.raises(UserError, match="name a commit"), checked_out(name, repository):
        pass


def test_outside_a_repository_there_are_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a git repository"), checked_out("HEAD", tmp_path):
        pass


def test_a_revision_without_this_project_cannot_be_run(repository: Path) -> None:
    git(repository, "rm", "--quiet", "-r", "harness")
    git(repository, "commit", "--quiet", "-m", "gone")
    with pytest.raises((UserError, HarnessFault), match="HEAD"), checked_out("HEAD", repository):
        pass


def test_what_does_not_end_is_a_fault_of_the_harness(repository: Path) -> None:
    with checked_out(".", repository) as revision, pytest.raises(HarnessFault, match="did not end"):
        ask(revision, ["slow"], 0.5)
