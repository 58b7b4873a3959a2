"""Processes that a benchmark starts: killed when it ends, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from paxos_impl.process.host import die_with_parent

ROOT = Path(__file__).parent.parent
DEATH_S = 5.0


class Children:
    """A context: all processes started in it, and their groups, are gone when it is left."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, 9)
        for process in self.processes:
            process.wait(timeout=DEATH_S)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def start(self, arguments: list[str], log: Path, **options: Any) -> subprocess.Popen[str]:
        """A process in a group of its own; what it prints as errors goes to ``log``."""
        parent = os.getpid()
        with log.open("a") as errors:
            process = subprocess.Popen(
                arguments,
                stderr=errors,
                text=True,
                cwd=ROOT,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),
                **options,
            )
        self.processes.append(process)
        return process

    def start_module(self, module: str, *arguments: str, log: Path) -> subprocess.Popen[str]:
        """``python -m module`` with a pipe to and from it."""
        return self.start(
            [sys.executable, "-m", module, *arguments], log, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
