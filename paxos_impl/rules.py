"""The rules of the protocol code as a page: every method a planted bug may override, what it keeps, and where it stands.

``python -m paxos_impl.rules > docs/protocol.md`` writes it anew from the docstrings; a test compares.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from types import FunctionType, ModuleType

from paxos_impl.agent import Agent, Household
from paxos_impl.mutants.rules import RULE_METHODS
from paxos_impl.parts import CORRECT

EVENTS = frozenset((*vars(Agent), *vars(Household))).difference(*RULE_METHODS.values())
"""What a host calls, and what roles of one process ask each other: the frame of the code, not a rule."""
PAPERS = {"PTP": "The Part-Time Parliament", "PMS": "Paxos Made Simple", "PML": "Paxos Made Live"}
_CITED = re.compile(
    r"((?:PTP|PMS|PML|The Part-Time Parliament|Paxos Made Simple|Paxos Made Live|Ongaro's thesis)"
    r",? sections?(?:[^():;]|\([^()]*\) and)*)"
)
_OPENING = """\
# The rules of the protocol

Written by `python -m paxos_impl.rules > docs/protocol.md` from the docstrings of the code. Each rule of the papers is one
small method: there a reader checks it, and there a planted bug overrides it (`paxos_impl/mutants`). A method is given
with its class; the source is that of its docstring, else that of its file.
"""


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule method."""

    name: str
    """``Class.method``"""
    text: str
    source: str


def rule_classes() -> list[type]:
    """The classes of ``Parts`` and the bases they share, in the order of the parts, bases first."""
    found: list[type] = []
    for field in dataclasses.fields(CORRECT):
        for class_ in reversed(getattr(CORRECT, field.name).__mro__):
            ours = class_.__module__.startswith("paxos_impl.")
            if ours and class_ is not Household and class_ not in found:
                found.append(class_)
    return found


def rules_of(class_: type) -> list[Rule]:
    """Its methods that have a docstring and are no events; in the order of the file."""
    default = default_source(sys.modules[class_.__module__])
    found = []
    for name, method in vars(class_).items():
        text = inspect.getdoc(method) if isinstance(method, FunctionType) else None
        if text is None or name.startswith("_") or name in EVENTS:
            continue
        line = " ".join(text.split())
        found.append(Rule(f"{class_.__name__}.{name}", line, source_of(line) or default))
    return found


def source_of(text: str) -> str:
    """The papers and sections a text cites; empty if none."""
    cited = [" ".join(match.split()).rstrip(".,") for match in _CITED.findall(text)]
    for short, paper in PAPERS.items():
        cited = [paper + one.removeprefix(short) if one.startswith(short) else one for one in cited]
    return "; ".join(dict.fromkeys(cited))


def default_source(module: ModuleType) -> str:
    """What the module cites for all its rules: beside the word "Rules", or behind "Source"."""
    lines = (inspect.getdoc(module) or "").splitlines()
    return "; ".join(filter(None, (source_of(line) for line in lines if line.startswith(("Rules", "Source")))))


def page() -> str:
    """The whole page, in Markdown."""
    parts = [_OPENING]
    seen: set[str] = set()
    for class_ in rule_classes():
        rules = rules_of(class_)
        if not rules:
            continue
        if class_.__module__ not in seen:
            seen.add(class_.__module__)
            title, _, body = (inspect.getdoc(sys.modules[class_.__module__]) or "").partition("\n")
            parts.append(f"## `{class_.__module__}`: {title}\n\n{_markdown(body.strip())}\n")
        rows = "\n".join(f"| `{rule.name}` | {_cell(rule.text)} | {_cell(rule.source)} |" for rule in rules)
        parts.append(f"| method | rule | source |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _markdown(text: str) -> str:
    """reStructuredText of the docstrings: literals, lists right below their heading; tables and examples are left out."""
    paragraphs = [part for part in text.split("\n\n") if "===" not in part and not part.startswith("    ")]
    text = re.sub(r"^-{3,}\n", "", "\n\n".join(paragraphs), flags=re.MULTILINE)
    text = re.sub(r"^(Rules.*\n)(?=\* )", r"\1\n", text, flags=re.MULTILINE)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _cell(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
