"""The key-value store: the state machine the log is applied to. Deterministic: no time, no randomness, no hash order.

=======  ==============================================================================  ========================
f        effect                                                                          result
=======  ==============================================================================  ========================
read     none                                                                            the value (see below)
write    key = value                                                                     None
cas      key = value if it holds ``expected`` now                                        [took place, value found]
delete   key = a tombstone that bears ``value`` as its identity                          None
append   value is added to the list of that key (lists are bounded: the oldest leave)    length of the list
=======  ==============================================================================  ========================

A read returns None for a key never written, ``{"tombstone": id}`` for a deleted one, a list for a key appended to: reading
nothing is as unambiguous as reading something.
"""

from __future__ import annotations

from typing import Any

from paxos_impl.messages import Command

MAX_LIST = 1000
FUNCTIONS = ("read", "write", "cas", "delete", "append")


def problem_with(command: Command) -> str | None:
    """Why the store could not execute the command alike on every replica; None: it could. Values are strings: one that can be
    changed would be shared by the store and the log."""
    if command.f not in FUNCTIONS:
        return f"unknown function {command.f!r}; this store knows {', '.join(FUNCTIONS)}"
    if command.value is not None and type(command.value) is not str:
        return f"the value of a {command.f} is a string, not {command.value!r}"
    return None


class KeyValueStore:
    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def execute(self, command: Command) -> Any:
        f, key = command.f, command.key
        if f == "read":
            return self.read(key)
        if f == "write":
            return self.write(key, command.value)
        if f == "cas":
            return self.compare_and_set(key, command.expected, command.value)
        if f == "delete":
            return self.delete(key, command.value)
        if f == "append":
            return self.append(key, command.value)
        raise ValueError(problem_with(command))

    def read(self, key: str) -> Any:
        """A copy: what a client was told must not change with the store."""
        found = self.data.get(key)
        return list(found) if isinstance(found, list) else found

    def write(self, key: str, value: Any) -> None:
        """The value replaces whatever is there, also a tombstone. A list is copied: the log keeps the command as it was, though
        something is appended here later."""
        self.data[key] = list(value) if isinstance(value, list) else value

    def compare_and_set(self, key: str, expected: Any, value: Any) -> list[Any]:
        """Changes the key only if it holds ``expected``, and tells what was found either way."""
        found = self.read(key)
        if self.matches(found, expected):
            self.write(key, value)
            return [True, found]
        return [False, found]

    def delete(self, key: str, identity: Any) -> None:
        """A tombstone stays: reading what was deleted is not reading what never was."""
        self.data[key] = {"tombstone": identity}

    def matches(self, found: Any, expected: Any) -> bool:
        """Compare-and-set compares the whole value; ``None`` expects a key never written."""
        return bool(found == expected)

    def append(self, key: str, value: Any) -> int:
        """Behind all others; a list is bounded, its oldest leaves. Returns the length."""
        items = self.data.get(key)
        if not isinstance(items, list):
            items = self.data[key] = []
        items.append(value)
        if len(items) > MAX_LIST:
            del items[0]
        return len(items)

    def snapshot(self) -> dict[str, Any]:
        """The whole state, in order of key, so that equal states have equal snapshots."""
        return dict(sorted(self.data.items()))

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Replace the state; nothing of the old one stays."""
        self.data = dict(snapshot)
