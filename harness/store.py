"""The store: run directories, ``store/<test>/<UTC time>-<seed>/``, and ``store/latest``, a link to the newest."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.record import DECIDED_KINDS, AgentEvent, FaultEvent, Operation, RowWriter
from nemesis.plan import Plan, encode_plan, load_plan

LATEST = "latest"
NETWORK = "network"
"""Stands for an agent in the trace: what became of messages."""
BLOCK_ROWS = 1024
PACKAGES = ("msgspec", "psutil", "numpy", "pandas", "matplotlib", "hypothesis", "click", "rich", "jinja2")


def new_run_directory(store: Path, name: str, seed: int) -> Path:
    """A fresh directory for one run; raises UserError if the store cannot be written."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    parent = store / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1000):
            directory = parent / (f"{stamp}-{seed}" + (f".{attempt}" if attempt else ""))
            try:
                directory.mkdir()
            except FileExistsError:
                continue
            return directory
    except OSError as error:
        raise UserError(
            f"cannot create a run directory in {store}: {error.strerror}; choose another place with --store DIR"
        ) from error
    raise UserError(f"{parent} already holds 1000 runs of this second and seed")


def ensure_writable(directory: Path) -> None:
    """Before long work whose results belong there. Raises UserError if nothing can be written into it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"x")
    except OSError as error:
        raise UserError(
            f"cannot write to {directory}: {error.strerror}; choose another place with --store DIR"
        ) from error


def link_latest(store: Path, directory: Path) -> None:
    """Point ``store/latest`` at ``directory``; a store that cannot hold links goes without."""
    link = store / LATEST
    scratch = store / f".{LATEST}.{os.getpid()}"
    try:
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(os.path.relpath(directory, store))
        scratch.replace(link)
    except OSError:
        scratch.unlink(missing_ok=True)


def write_plan(directory: Path, plan: Plan) -> Path:
    path = directory / "plan.json"
    path.write_bytes(encode_plan(plan))
    return path


def write_environment(directory: Path, environment: dict[str, Any]) -> None:
    (directory / "env.json").write_bytes(msgspec.json.format(msgspec.json.encode(environment), indent=2))


def read_environment(directory: Path) -> dict[str, Any]:
    path = directory / "env.json"
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is damaged: {error}") from error


def environment() -> dict[str, Any]:
    """The machine and versions of this run; no host or user name."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "command": " ".join(["torture", *sys.argv[1:]]),
        "version": _version("paxos-torture"),
        "commit": _commit(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def find_run(path: Path) -> Path:
    """The run directory ``path`` names; raises UserError if it is none. ``latest`` is what it points at now: the name goes into
    the report, and will mean another run tomorrow."""
    if path.is_symlink():
        path = path.parent / path.readlink()
    if not path.exists():
        raise UserError(f"no such run directory: {path}; `torture list` shows the runs there are")
    if (path / "campaign.json").is_file():
        raise UserError(f"{path} is a campaign; name one of the failures it keeps, {path}/failure-…, if there are any")
    if not (path / "plan.json").is_file():
        raise UserError(f"{path} is not a run directory: it has no plan.json; `torture list` shows the runs there are")
    return path


def load_plan_or_run(path: Path) -> tuple[Plan, Path | None]:
    """A plan file, or the plan of a run directory (returned too)."""
    if path.is_dir():
        run = find_run(path)
        return load_plan(run / "plan.json"), run
    if not path.exists():
        raise UserError(f"no such plan file or run directory: {path}")
    return load_plan(path), None


def write_rows(
    directory: Path,
    history: list[Operation],
    faults: list[FaultEvent],
    events: dict[tuple[str, int], list[AgentEvent]],
) -> None:
    """Write a record that was held in memory, as a real run writes it while it goes."""
    _write_file(directory / "history" / "clients.rows", history)
    _write_file(directory / "faults" / "nemesis.rows", faults)
    for (agent, incarnation), rows in events.items():
        if agent == NETWORK:
            rows = sorted(rows, key=lambda row: row.time_ns)
        decided = [row for row in rows if row.kind in DECIDED_KINDS]
        traced = [row for row in rows if row.kind not in DECIDED_KINDS]
        if agent != NETWORK:
            _write_file(directory / "decided" / f"{agent}.{incarnation}.rows", decided)
        _write_file(directory / "trace" / f"{agent}.{incarnation}.rows", traced)


def add_faults(directory: Path, faults: list[FaultEvent]) -> None:
    """More rows of the nemesis, behind those of a record that is written already."""
    _write_file(directory / "faults" / "nemesis.rows", faults)


def _write_file(path: Path, rows: list[Any]) -> None:
    writer = RowWriter(path)
    try:
        for start in range(0, len(rows), BLOCK_ROWS):
            writer.write(rows[start : start + BLOCK_ROWS])
    finally:
        writer.close()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()
