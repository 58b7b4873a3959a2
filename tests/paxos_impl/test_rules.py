"""docs/protocol.md is what the docstrings say now."""

from __future__ import annotations

from pathlib import Path

import paxos_impl
from paxos_impl.acceptor import Acceptor
from paxos_impl.rules import page, rule_classes, rules_of, source_of

PAGE = Path(paxos_impl.__file__).parent.parent / "docs" / "protocol.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == page(), "run: python -m paxos_impl.rules > docs/protocol.md"


def test_the_rules_of_the_papers_are_there_with_their_sections() -> None:
    found = {rule.name: rule for class_ in rule_classes() for rule in rules_of(class_)}
    for name in ("may_promise", "may_accept", "raise_promise"):
        assert found[f"Acceptor.{name}"].source.startswith("Paxos Made Simple, section 2.2")
    for name in ("Agent.is_quorum", "Election.next_ballot", "Proposer.value_to_propose", "Learner.is_chosen_vote"):
        assert found[name].text and found[name].source


def test_events_are_no_rules() -> None:
    assert not {"receive", "start", "flush", "recover"} & {rule.name.partition(".")[2] for rule in rules_of(Acceptor)}


def test_citations_are_found_and_written_out() -> None:
    assert source_of("Ordered (PTP section 2.1, B1).") == "The Part-Time Parliament section 2.1, B1"
    assert source_of("Rules (Paxos Made Simple, sections 2.2 to 3; PML, section 5.5)") == (
        "Paxos Made Simple, sections 2.2 to 3; Paxos Made Live, section 5.5"
    )
    assert source_of("nothing cited") == ""
