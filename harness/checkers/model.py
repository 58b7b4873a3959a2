"""The key-value store as the checkers understand it, written independently of the system under test.

=======  =============================================================================================================
f        effect, and what the client sees
=======  =============================================================================================================
read     the value: a string, {"tombstone": id} after a delete, a list on keys that are appended to, None = never written
write    replaces the value
cas      replaces it if it equals ``expected`` (None: never written); a failed one reports the value it found
delete   leaves {"tombstone": id}, where id is the command's value
append   adds to the list; reports its length afterwards; a tombstone counts as the empty list. Lists hold LIST_BOUND
         values, the oldest leave
=======  =============================================================================================================

Commands that are no operations of a client (opening a session) leave the store alone: ``EFFECTS`` and ``QUERIES`` name
those that the model knows.
"""

from __future__ import annotations

from typing import Any

import msgspec

EFFECTS = frozenset({"write", "cas", "delete", "append"})
QUERIES = frozenset({"read"})
KNOWN = EFFECTS | QUERIES
LOCAL_READ = "local-read"
"""No command: one learner answers it from what it holds."""
LIST_BOUND = 1000


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a command must answer; a write, for one, nothing that could differ."""

    value: Any = None
    """Of a read."""
    applied: bool | None = None
    """Of a compare-and-set."""
    seen: Any = None
    """The value that a compare-and-set found, the length after an append."""


_DONE = Outcome()
"""Of what answers nothing that could differ."""


class KeyValueModel:
    """One copy of the store. ``step`` executes a command; the caller leaves out those that sessions skip."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def step(self, f: str, key: str, value: Any, expected: Any) -> Outcome:
        """Execute and answer. ValueError if ``f`` is not of the model."""
        found = self.state.get(key)
        if f == "read":
            return Outcome(found)
        if f == "write":
            self.state[key] = value
            return _DONE
        if f == "cas":
            if found == expected:
                self.state[key] = value
                return Outcome(None, True, found)
            return Outcome(None, False, found)
        if f == "delete":
            self.state[key] = {"tombstone": value}
            return _DONE
        if f == "append":
            # A new list: the old one may be a value of the record, or an answer given.
            items = [*found[1 - LIST_BOUND :], value] if isinstance(found, list) else [value]
            self.state[key] = items
            return Outcome(None, None, len(items))
        raise ValueError(f"the model of the store knows no function {f!r}; it knows {', '.join(sorted(KNOWN))}")


LONGEST_TEXT, LONGEST_LIST = 24, 12


def shown(value: Any) -> str:
    """A value for a sentence: a padded text is known by its beginning, a long list by both its ends."""
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…")
    if isinstance(value, list | tuple):
        items = [shown(one) for one in value]
        if len(items) > LONGEST_LIST:
            half = LONGEST_LIST // 2
            items = [*items[:half], f"… {len(items) - 2 * half} more …", *items[-half:]]
        return f"[{', '.join(items)}]"
    return repr(value)


def difference(f: str, result: Any, applied: bool | None, seen: Any, outcome: Outcome) -> str | None:
    """Why a client's answer differs from the model's; None if they agree."""
    if f == "read":
        nothing: tuple[Any, ...] = (None, [])
        if result != outcome.value and not (result in nothing and outcome.value in nothing):
            return f"it returned {shown(result)}, the log gives {shown(outcome.value)}"
    elif f == "cas":
        if bool(applied) != outcome.applied:
            done = {True: "succeeded", False: "failed"}
            return (
                f"it {done[bool(applied)]}, by the log it {done[bool(outcome.applied)]}: it found {shown(outcome.seen)}"
            )
        if not applied and seen != outcome.seen:
            return f"it failed on finding {shown(seen)}, the log gives {shown(outcome.seen)}"
        if applied and seen is not None and seen != outcome.seen:
            return f"it succeeded on finding {shown(seen)}, the log gives {shown(outcome.seen)}"
    elif f == "append" and seen is not None and seen != outcome.seen:
        return f"it returned length {shown(seen)}, the log gives {shown(outcome.seen)}"
    return None
