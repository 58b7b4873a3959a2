"""The text of Jepsen's logs: ``INFO  jepsen.util - 3<TAB>:invoke<TAB>:cas<TAB>[1 2]``. Other lines are skipped.

Here ``:fail :cas`` means that it ran and found another value (which one is not told), and a value such as ``:timed-out``
stands for the one that was asked. Failed reads and writes did not happen, and nothing did that failed with an error behind
its value (as newer versions write it). Other processes than clients (the nemesis) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness.checkers.formats.edn import _TOKEN, _Bad, _Incomplete, _name, parse
from harness.checkers.formats.events import Event, FormatError, checked_type, frozen

LINE = re.compile(r"(?:^|\s-\s|\s)(\d+|:?nemesis)\s+:(invoke|ok|fail|info)\s+:([\w-]+)(?:[ \t]+(.*?))?\s*$")


def events(file: BinaryIO, path: Path | str, notes: list[str]) -> Iterator[Event]:
    """The operations of clients in a log. Raises FormatError for a value that cannot be read."""
    for number, raw in enumerate(file, 1):
        text = raw.decode(errors="replace")
        found = LINE.search(text)
        if found is None:
            if "jepsen.util" in text and re.search(r":(invoke|ok|fail|info)\b", text):
                if raw.endswith(b"\n"):
                    raise FormatError(path, number, "expected process, type, function and value, with tabs between")
                notes.append(f"line {number}: the last operation is torn and left out")
            continue
        process, type_, f, value_text = found.groups()
        if not process.isdigit():
            continue
        value, error = None, False
        if value_text:
            tokens = _TOKEN.findall(value_text)
            try:
                value, end = parse(tokens, 0)
                error = type_ == "fail" and end < len(tokens)
            except (_Bad, _Incomplete):
                if raw.endswith(b"\n"):
                    raise FormatError(path, number, f"cannot read the value {value_text!r}") from None
                notes.append(f"line {number}: the last operation is torn and left out")
                continue
        yield Event(checked_type(type_, path, number), int(process), _name(f), frozen(value), number, error=error)
