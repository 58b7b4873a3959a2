"""Sequential models: what each object answers when operations come one after the other.

A model is a small class with ``init`` (the first state, hashable) and ``step(state, op)``, which returns the state after
``op``, or ``Illegal(why)`` if the object cannot answer ``op.result`` in that state. ``op.result`` is ``UNKNOWN`` where no
answer was recorded: then any answer is right. For instance a counter::

    class Counter(Model):
        init = 0
        def step(self, state, op):
            if op.f == "add":
                return state + op.value
            if op.result is UNKNOWN or op.result == state:
                return state
            return Illegal(f"cannot read {op.result} from a counter of {state}")

``keyed``: each key is an object of its own and is checked alone. ``queries``: functions that never change the state (the
search applies them at once where they fit). ``overwrites``: functions that are legal in every state and whose effect does
not depend on it, such as a write. Only to save work: ``hopeless(state, op)``, True if no further operations can ever lead from
``state`` to one in which ``op`` is legal; ``dead_ends(ops)``, which states no legal order of all ``ops`` can pass through.
"""

from __future__ import annotations

from harness.checkers.linearizability.containers import (
    AppendList,
    Counter,
    FifoQueue,
    Mutex,
    SetModel,
    UnorderedQueue,
)
from harness.checkers.linearizability.registers import (
    CasRegister,
    KeyValue,
    MultiRegister,
    Register,
    Text,
    VersionedRegister,
)
from harness.checkers.linearizability.sequential import Illegal, Model

__all__ = [
    "MODELS",
    "AppendList",
    "CasRegister",
    "Counter",
    "FifoQueue",
    "Illegal",
    "KeyValue",
    "Model",
    "MultiRegister",
    "Mutex",
    "Register",
    "SetModel",
    "Text",
    "UnorderedQueue",
    "VersionedRegister",
]

MODELS: dict[str, type[Model]] = {
    model.name: model
    for model in (
        Register,
        CasRegister,
        VersionedRegister,
        KeyValue,
        Text,
        MultiRegister,
        AppendList,
        SetModel,
        Counter,
        FifoQueue,
        UnorderedQueue,
        Mutex,
    )
}
