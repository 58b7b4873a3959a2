"""Directories in memory leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import memory
from harness.memory import PREFIX, memory_directory


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "MEMORY", tmp_path)
    return tmp_path


def test_it_is_gone_afterwards_also_after_an_error(base: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), memory_directory() as made:
        assert made.parent == base
        (made / "log").write_text("")
        raise RuntimeError("broken")
    assert list(base.iterdir()) == []


def test_what_a_killed_run_left_behind_is_swept_and_nothing_else(base: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left = base / f"{PREFIX}{killed.pid}-abc"
    left.mkdir()
    (left / "log").write_text("")
    kept = [base / f"{PREFIX}{os.getpid()}-abc", base / f"{PREFIX}unknown", base / "other"]
    for path in kept:
        path.mkdir()
    with memory_directory():
        pass
    assert sorted(base.iterdir()) == sorted(kept)


def test_without_memory_it_is_on_disk(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MEMORY", base / "nothing")
    monkeypatch.setattr("tempfile.tempdir", str(base))
    with memory_directory() as made:
        assert made.parent == base
