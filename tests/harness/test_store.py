"""The store: fresh directories, the link to the newest, and messages for whatever is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.record import AgentEvent, FaultEvent, Operation, RecordedRun, client_name
from harness.store import (
    environment,
    find_run,
    link_latest,
    load_plan_or_run,
    new_run_directory,
    read_environment,
    write_environment,
    write_plan,
    write_rows,
)
from nemesis.plan import Plan, PlanError
from paxos_impl import messages


def test_each_run_gets_a_directory_of_its_own(tmp_path: Path) -> None:
    made = [new_run_directory(tmp_path, "test", 7) for _ in range(3)]
    assert len(set(made)) == 3
    assert {path.parent for path in made} == {tmp_path / "test"}
    assert all(path.is_dir() and "-7" in path.name for path in made)


def test_a_store_that_is_a_file_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(UserError, match=r"cannot create a run directory in .*store.*--store DIR"):
        new_run_directory(tmp_path / "store", "test", 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(UserError, match=r"Permission denied; choose another place with --store DIR"):
        new_run_directory(tmp_path / "store", "test", 0)


def test_latest_points_at_the_newest(tmp_path: Path) -> None:
    for _ in range(2):
        directory = new_run_directory(tmp_path, "test", 1)
        link_latest(tmp_path, directory)
        assert (tmp_path / "latest").resolve() == directory
    assert not (tmp_path / "latest").readlink().is_absolute()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "test"]


def test_a_store_without_links_goes_without(tmp_path: Path) -> None:
    directory = new_run_directory(tmp_path, "test", 1)
    (tmp_path / "latest").mkdir()
    link_latest(tmp_path, directory)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "test"]
    assert (tmp_path / "latest").is_dir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such run directory: .*torture list"),
        (lambda path: path.mkdir(), "not a run directory: it has no plan.json"),
        (
            lambda path: (path.mkdir(), (path / "campaign.json").write_text("{}")),
            "is a campaign; name one of the failures",
        ),
    ],
)
def test_what_is_no_run_directory_is_told(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "run"
    make(path)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        find_run(path)


def test_the_newest_run_is_told_by_its_own_name(tmp_path: Path) -> None:
    run = tmp_path / "torture" / "20260101T000000-7"
    run.mkdir(parents=True)
    (run / "plan.json").write_text("{}")
    link_latest(tmp_path, run)
    assert find_run(tmp_path / "latest") == run


def test_a_plan_is_loaded_from_a_file_or_from_a_run(tmp_path: Path) -> None:
    path = write_plan(tmp_path, Plan(seed=5))
    assert load_plan_or_run(path) == (Plan(seed=5), None)
    assert load_plan_or_run(tmp_path) == (Plan(seed=5), tmp_path)
    with pytest.raises(UserError, match="no such plan file or run directory"):
        load_plan_or_run(tmp_path / "nothing")


def test_a_bad_plan_says_where_it_is_bad(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"faults": [{"kind": "kil", "at_ns": 1}]}')
    with pytest.raises(PlanError, match=r"(?s)plan\.json.*faults\[0\].*kil"):
        load_plan_or_run(tmp_path)


def test_the_environment_names_versions_and_nobody(tmp_path: Path) -> None:
    facts = environment()
    write_environment(tmp_path, facts)
    assert read_environment(tmp_path) == facts
    assert facts["packages"]["msgspec"]
    assert os.uname().nodename not in str({key: value for key, value in facts.items() if key != "command"})


def test_a_missing_environment_is_empty_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert read_environment(tmp_path) == {}
    (tmp_path / "env.json").write_text("{")
    with pytest.raises(UserError, match=r"env\.json is damaged"):
        read_environment(tmp_path)


def test_rows_are_written_as_a_real_run_writes_them(tmp_path: Path) -> None:
    history = [Operation("invoke", number, 1, number, "read", "k") for number in range(3000)]
    faults = [FaultEvent(5, "begin", 0, "kill", ("r0",), {"killed": 1})]
    events = [
        AgentEvent(1, "started", extra={"commit": 0}),
        AgentEvent(2, "promised", (1, 0)),
        AgentEvent(3, "chosen", slot=1),
    ]
    write_rows(tmp_path, history, faults, {("r0", 1): events})
    run = RecordedRun(tmp_path)
    assert run.history() == history
    assert run.faults() == faults
    assert run.agent_events("decided") == {("r0", 1): [events[0], events[2]]}
    assert run.agent_events("trace") == {("r0", 1): [events[1]]}
    assert run.torn == []


def test_readers_see_small_numbers_of_clients_and_the_program_calls_them_the_same() -> None:
    ours = [(messages.FIRST_CLIENT_ADDRESS + place) << messages.CLIENT_SERIAL_BITS | 3 for place in range(3)]
    assert [client_name(number) for number in ours] == ["3", "3b", "3c"]
    assert [messages.client_name(number) for number in ours] == ["3", "3b", "3c"]
    assert [client_name(other) for other in (7, 900, -1, "w1", 5 << 32)] == ["7", "900", "-1", "w1", str(5 << 32)]
