"""How a report writes times, counts and values that came from outside.

Keys, values and error texts are whatever a client or a faulty system wrote: markup, control characters, text that runs
from right to left, megabytes. ``shown`` makes any of them one harmless line; escaping for HTML, XML or Markdown comes
on top.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from harness.record import Command, client_name

VALUE_LIMIT = 80
"""Characters of a foreign value that a report shows; beyond, it says how long the value is."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that change what is around them or have no shape: written as escapes."""
_STEPS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))
_ASCII = str.maketrans({"…": "...", "µ": "u", "→": "->", "≠": "!=", "—": "-"})


def shown(value: Any, limit: int = VALUE_LIMIT) -> str:
    """Any value as one line of at most about ``limit`` visible characters."""
    text = value if isinstance(value, str) else _plain(value)
    if not text:
        return "(empty)"
    kept = text[:limit]
    line = "".join(_visible(character) for character in kept)
    return line if len(text) <= limit else f"{line}… ({len(text):,} characters)"


def ascii_shown(value: Any, limit: int = VALUE_LIMIT) -> str:
    """As ``shown``, in ASCII: for pictures, whose font has few letters."""
    return shown(value, limit).translate(_ASCII).encode("ascii", "backslashreplace").decode()


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict) and set(value) == {"tombstone"}:
        return f"deleted by {value['tombstone']}"
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)


def _visible(character: str) -> str:
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def span(ns: float | None) -> str:
    """A length of time with three digits: ``1.24 s``, ``50 ms``, ``0 s``; None = ``never``."""
    if ns is None or ns != ns or ns == float("inf"):
        return "never"
    for unit, name in _STEPS:
        if abs(ns) >= 0.9995 * unit:
            number = ns / unit
            return f"{number:,.0f} {name}" if number == int(number) else f"{_three_digits(number)} {name}"
    return f"{ns:.0f} ns" if ns else "0 s"


def _three_digits(number: float) -> str:
    if abs(number) >= 99.95:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 9.995 else f"{number:.2f}"


def instant(ns: int | None) -> str:
    """A time of the run, in seconds with milliseconds: ``12.340 s``."""
    return "—" if ns is None else f"{ns / 1e9:.3f} s"


def count(number: float, noun: str = "") -> str:
    """``1,024 operations``, ``1 operation``; the noun is given in the singular."""
    text = f"{number:,.0f}"
    if not noun:
        return text
    return f"{text} {noun if number == 1 else noun + 's'}"


def share(number: float | None) -> str:
    """A share of one as percent: 100 % only if it is all, never rounded up to it."""
    if number is None or number != number:
        return "—"
    percent = 100.0 * number
    if percent < 100.0 <= round(percent, 1):
        percent = 99.9
    return f"{percent:.1f} %" if percent not in (0.0, 100.0) else f"{percent:.0f} %"


def joined(names: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def ballot_name(ballot: Sequence[int] | None) -> str:
    """``3.1``: round 3 of node 1."""
    return "unknown" if ballot is None else f"{ballot[0]}.{ballot[1]}"


def command_text(command: Command) -> str:
    """``write k1 = v7 (client 3, operation 12)``: two commands never read alike."""
    return f"{_asked(command)} (client {client_name(command.client)}, operation {command.seq})"


def _asked(command: Command) -> str:
    if not command.key and command.value is None:
        return shown(command.f, 16)
    what = shown(command.key, 24)
    if command.f == "cas":
        return f"cas {what}: {shown(command.expected, 24)} → {shown(command.value, 24)}"
    return f"{command.f} {what}" + ("" if command.f == "read" else f" = {shown(command.value, 32)}")


def value_text(value: Sequence[Command] | None, limit: int = 2) -> str:
    """The commands of a slot's value: the first ``limit``, and how many more there are."""
    if value is None:
        return "a value"
    if not value:
        return "no-op"
    more = f" + {len(value) - limit} more" if len(value) > limit else ""
    return "; ".join(command_text(command) for command in value[:limit]) + more
