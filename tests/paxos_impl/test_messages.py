"""Messages: they survive the wire, sort as ballots must, and stay under their bound."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxos_impl import messages
from paxos_impl.messages import NO_BALLOT, AnyMessage, Command, Envelope, Learn, client_address, value_bytes

encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Envelope).decode

commands = st.builds(
    Command,
    st.integers(1000 << 32, 1001 << 32),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 60),
    st.sampled_from(["open", "read", "write", "cas", "delete", "append"]),
    st.text(max_size=20),
    st.none() | st.text(max_size=200),
    st.none() | st.text(max_size=200),
)
values = st.lists(commands, max_size=5).map(tuple)


def test_the_sentinel_sorts_below_every_ballot() -> None:
    assert NO_BALLOT < (0, 0) < (0, 1) < (1, 0)


@given(st.lists(values, max_size=4).map(tuple))
def test_messages_survive_the_wire(many: tuple[messages.Value, ...]) -> None:
    envelope = Envelope(1, 2, 3, Learn(1, many, 9))
    assert decode(encode(envelope)) == envelope


@given(values)
def test_the_estimate_of_a_value_is_no_less_than_its_length_on_the_wire(value: messages.Value) -> None:
    assert value_bytes(value) + 16 >= len(encode(value))


def test_every_message_has_a_tag_of_its_own() -> None:
    kinds = AnyMessage.__args__  # type: ignore[attr-defined]
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)


def test_messages_cannot_change_in_flight() -> None:
    with pytest.raises(AttributeError):
        Learn(1, (), 9).slot = 2  # type: ignore[misc]


def test_a_client_id_names_its_address() -> None:
    assert client_address(1234 << 32 | 99) == 1234
