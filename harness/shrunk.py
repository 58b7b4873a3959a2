"""What a shrink leaves behind: the plan, a pytest test beside it that fails as long as the bug is there, and the run."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from harness.results import SHRINK_FACTS, SHRUNK_RUN, ShrinkFacts
from harness.shrink import ShrinkResult
from harness.simulated_run import write_simulated_run
from nemesis.plan import encode_plan


def write_shrunk(result: ShrinkResult, directory: Path) -> tuple[Path, Path]:
    """Store plan and test in ``directory``; their paths."""
    plan_path = directory / "shrunk.json"
    test_path = directory / "test_shrunk.py"
    plan_path.write_bytes(encode_plan(result.plan))
    test_path.write_text(regression_test(result, plan_path.name))
    return plan_path, test_path


def write_shrunk_run(result: ShrinkResult, directory: Path) -> Path:
    """Run the shrunk plan once more, recorded and judged, in ``directory/shrunk/``; an older one there is replaced."""
    run = directory / SHRUNK_RUN
    if run.is_dir():
        shutil.rmtree(run)
    run.mkdir()
    write_simulated_run(result.plan, run)
    facts = ShrinkFacts(
        result.rule or "", result.faults_before, result.faults_after, result.replays, result.minimal, result.sentences
    )
    (run / SHRINK_FACTS).write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=2))
    return run


def regression_test(result: ShrinkResult, plan_name: str) -> str:
    """The text of a test beside the plan: fails while the rule is broken."""
    story = "\n".join(f"    * {sentence}" for sentence in result.sentences) or "    * no fault is needed"
    return f'''"""Fails as long as this plan breaks {result.rule}.

{_in_docstring(result.sentence)}
"""

from pathlib import Path

from harness.worlds.simulated.world import simulate
from nemesis.plan import load_plan


def test_plan_breaks_no_rule() -> None:
    """
{_in_docstring(story)}
    """
    run = simulate(load_plan(Path(__file__).with_name("{plan_name}")))
    assert [violation.sentence for violation in run.violations] == []
'''


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")
