"""Equal plans give equal digests: in other processes, under other hash seeds, on other versions of Python, recorded or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import harness
from harness.worlds.simulated.world import simulate
from nemesis.plan import MILLISECOND, Plan, Workload
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame

ROOT = Path(harness.__file__).parent.parent
FRAME = Frame(
    duration_ns=600 * MILLISECOND,
    settle_ns=800 * MILLISECOND,
    workload=Workload(clients=3, rate=100.0, keys=2),
)
PROGRAM = """
import json, sys
from nemesis.plan import decode_plan
from harness.worlds.simulated.world import simulate
plans = [decode_plan(text.encode()) for text in json.load(sys.stdin)]
print(json.dumps([simulate(plan).digest for plan in plans]))
"""


def plans(count: int, first: int = 0) -> list[Plan]:
    """Plans with all kinds of faults, both deployments among them."""
    return [generate("portfolio", seed, FRAME) for seed in range(first, first + count)]


def digests_elsewhere(python: str, many: list[Plan], hash_seed: int) -> list[str]:
    """The digests of these plans in a fresh process."""
    run = subprocess.run(
        [python, "-c", PROGRAM],
        input=json.dumps([msgspec.json.encode(plan).decode() for plan in many]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)},
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    digests: list[str] = json.loads(run.stdout)
    return digests


def test_equal_in_a_fresh_process_with_another_hash_seed() -> None:
    many = plans(4)
    here = [simulate(plan).digest for plan in many]
    assert len(set(here)) == 4
    for hash_seed in (1, 2):
        assert digests_elsewhere(sys.executable, many, hash_seed) == here


@pytest.mark.slow
def test_equal_in_fresh_processes_with_other_hash_seeds() -> None:
    """Fifty of them, or as many as HASH_SEEDS says."""
    many = plans(6, first=100)
    here = [simulate(plan).digest for plan in many]
    for hash_seed in range(int(os.environ.get("HASH_SEEDS", "50"))):
        assert digests_elsewhere(sys.executable, many, hash_seed) == here, f"PYTHONHASHSEED={hash_seed}"


def test_equal_with_and_without_record_and_oracles() -> None:
    for plan in plans(4, first=10):
        digests = {
            simulate(plan, record=record, oracles=oracles).digest
            for record in (False, True)
            for oracles in (False, True)
        }
        assert len(digests) == 1


def test_another_seed_gives_another_digest() -> None:
    plan = plans(1)[0]
    assert simulate(plan).digest != simulate(msgspec.structs.replace(plan, seed=plan.seed + 1)).digest


def other_pythons() -> list[Path]:
    """Those of pyenv, and those named in OTHER_PYTHONS (paths, joined by colons)."""
    versions = Path.home() / ".pyenv" / "versions"
    named = [Path(path) for path in os.environ.get("OTHER_PYTHONS", "").split(":") if path]
    return named + sorted(path for path in versions.glob("3.1[1-9]*/bin/python") if path.exists())


@pytest.mark.parametrize("python", other_pythons() or [Path("/none")], ids=str)
def test_equal_on_other_versions_of_python(python: Path) -> None:
    if not python.exists():
        pytest.skip("no other interpreter here; name some in OTHER_PYTHONS")
    probe = subprocess.run(
        [str(python), "-c", "import msgspec, psutil"], capture_output=True, text=True, check=False, timeout=60
    )
    if probe.returncode != 0:
        pytest.skip(f"{python} lacks what the simulator needs: {probe.stderr.strip().splitlines()[-1]}")
    many = plans(4)
    assert digests_elsewhere(str(python), many, 0) == [simulate(plan).digest for plan in many]
