"""Histories for other tools: Jepsen's ``history.edn`` and the native JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.checkers.formats.native import NativeEvent
from harness.record import Operation


def edn_value(value: Any) -> str:
    """A value as EDN text. Strings stay strings, also as keys of maps, so that reading it back gives the same value."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{edn_value(key)} {edn_value(item)}" for key, item in value.items()) + "}"
    return "[" + " ".join(edn_value(item) for item in value) + "]"


def edn_lines(history: Iterable[Operation], *, keyed: bool = True) -> Iterator[str]:
    """One map a line, as Jepsen's checkers read them.

    ``keyed``: values are ``[key value]``, as of ``jepsen.independent``; else the key stands in ``:key`` alone. A
    compare-and-set that found another value is ``:fail``, which for Jepsen means that it had no effect.
    """
    for index, op in enumerate(history):
        type_ = op.type
        if op.f == "cas" and op.type == "ok" and op.applied is False:
            type_ = "fail"
        value = edn_value(op.value)
        shown = f"[{edn_value(op.key)} {value}]" if keyed else value
        extra = "" if keyed else f", :key {edn_value(op.key)}"
        error = f", :error {edn_value(op.error)}" if op.error else ""
        yield (
            f"{{:type :{type_}, :f :{op.f}, :value {shown}, :process {op.process}, "
            f":time {op.time_ns}, :index {index}{extra}{error}}}"
        )


def native_lines(history: Iterable[Operation]) -> Iterator[bytes]:
    """One JSON object a line, with everything the record knows."""
    encode = msgspec.json.Encoder().encode
    for index, op in enumerate(history):
        yield encode(
            NativeEvent(
                type=op.type,
                process=op.process,
                f=op.f,
                key=op.key,
                value=op.value,
                index=index,
                time_ns=op.time_ns,
                intended_ns=op.intended_ns or None,
                error=op.error,
                node=None if op.node < 0 else op.node,
                applied=op.applied,
                seen=msgspec.UNSET if op.seen is None and op.applied is not False else op.seen,
            )
        )


def write_edn(path: Path, history: Iterable[Operation], *, keyed: bool = True) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in edn_lines(history, keyed=keyed))


def write_native(path: Path, history: Iterable[Operation]) -> None:
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in native_lines(history))
