"""The committed sample: made by one command, the same each time, and silent about the machine that made it."""

from __future__ import annotations

import getpass
import platform
import re
from pathlib import Path

from harness.sample_report import KEPT, TARGET, write_sample


def test_the_sample_is_the_same_each_time_and_tells_of_no_machine(tmp_path: Path) -> None:
    for name in ("one", "other"):
        assert write_sample(tmp_path / name) == []
    for name in KEPT:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name
    _tells_of_no_machine(tmp_path / "one")
    for name in ("plan.json", "results.json"):  # pictures may differ with the versions of libraries
        made = (tmp_path / "one" / name).read_bytes()
        assert made == (TARGET / name).read_bytes(), f"{name} is stale: python -m harness.sample_report"


def test_the_committed_sample_is_whole_and_small() -> None:
    assert sorted(path.name for path in TARGET.iterdir()) == sorted(KEPT)
    assert (TARGET / "report.html").stat().st_size < 400_000
    page = (TARGET / "report.html").read_text(encoding="utf-8")
    assert "Violation found" in page and "agreement" in page and "This breaks agreement" in page
    _tells_of_no_machine(TARGET)


def _tells_of_no_machine(directory: Path) -> None:
    for path in directory.iterdir():
        if path.suffix == ".png":
            continue
        text = re.sub(r"data:image/png;base64,[^\"]*", "", path.read_text(encoding="utf-8"))
        text = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
        for word in (
            platform.node(),
            platform.release(),
            str(Path.home()),
            f"/{getpass.getuser()}/",
            "/tmp/",
            "/work/",
        ):
            assert word not in text, (path.name, word)
