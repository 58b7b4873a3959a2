"""The doctor tries what the harness needs and says what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from harness import doctor


def test_this_machine_can_run_the_tests_so_nothing_required_is_missing() -> None:
    before = psutil.Process().children()
    findings = {finding.name: finding for finding in doctor.examine()}
    assert [name for name, finding in findings.items() if finding.required and not finding.ok] == []
    assert all(finding.what for finding in findings.values())
    assert psutil.Process().children() == before


def test_a_missing_optional_thing_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    finding = doctor._find("etcd", False, doctor._etcd)
    assert not finding.ok
    assert "apt-get install etcd-server" in finding.what


def test_a_place_that_cannot_be_written_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    finding = doctor._find("disk", True, doctor._disk)
    assert not finding.ok
    assert "--store" in finding.what
