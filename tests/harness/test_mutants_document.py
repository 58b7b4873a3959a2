"""docs/mutants.md says what the code says."""

from __future__ import annotations

from pathlib import Path

from harness.mutants_document import document


def test_the_document_is_not_stale() -> None:
    path = Path(__file__).parents[2] / "docs" / "mutants.md"
    assert path.read_text() == document(), f"write it anew: {path.name} = harness.mutants_document.document()"
