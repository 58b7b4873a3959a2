"""docs/rules.md says what the docstrings say, and leaves out no rule."""

from __future__ import annotations

import re
from pathlib import Path

from harness.rules_document import Rule, document, judges, rules_of

ROOT = Path(__file__).parents[2]


def test_the_document_is_not_stale() -> None:
    path = ROOT / "docs" / "rules.md"
    assert path.read_text() == document(), f"write it anew: {path.name} = harness.rules_document.document()"


def test_every_rule_that_is_named_in_the_code_is_told_of() -> None:
    told = {name for _, _, rules in judges() for rule in rules for name in rule.names}
    sources = [*(ROOT / "harness/checkers").glob("*.py"), *(ROOT / "harness/worlds/simulated").glob("*.py")]
    named = {name for path in sources for name in re.findall(r'"([a-z0-9-]+/[a-z0-9-]+)"', path.read_text())}
    assert len(named) > 50
    assert named - told == set()


def test_bullets_may_be_long_and_of_several_rules() -> None:
    text = """Something.

Rules (their source)
--------------------
* a/one, a/two: first line
  and second: with a colon.
* b/three (if seen): short.

More: text.
"""
    assert rules_of(text) == [
        Rule(("a/one", "a/two"), "first line and second: with a colon."),
        Rule(("b/three",), "short."),
    ]
    assert rules_of("Nothing.") == []
