"""Pages: what may be long is sent in pieces, or no socket would take it.

A page ends with the value that fills it: without its last value it is shorter than ``limits.page_bytes``. A piece of a snapshot
never exceeds that. The real network refuses what is far too long; here a page one value too long is seen already.
"""

from __future__ import annotations

import msgspec

from paxos_impl.messages import Learn, Promise, SnapshotPage

PAGED = Promise | Learn | SnapshotPage
_encode = msgspec.msgpack.Encoder().encode


def excess(message: PAGED, page_bytes: int) -> int:
    """Bytes beyond what a page may hold; 0: it is as short as it should be."""
    if isinstance(message, SnapshotPage):
        return max(0, len(message.data) - page_bytes)
    held = message.votes if isinstance(message, Promise) else message.values
    return max(0, len(_encode(held[:-1])) - page_bytes) if len(held) > 1 else 0
