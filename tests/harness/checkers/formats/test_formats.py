"""Histories of other tools: read, judged, written, and what is said of files that are broken."""

from __future__ import annotations

import gzip
import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from harness.checkers.formats import edn, export, native
from harness.checkers.formats.events import FormatError
from harness.checkers.formats.files import check_file, read_history, sniff
from harness.checkers.formats.meaning import ANY, guess_model, make_model, parse_init
from harness.checkers.linearizability.history import UNKNOWN, Op, show
from harness.record import Operation
from harness.results import Verdict

EDN = """\
; a register of five values
{:type :invoke, :f :write, :value 3, :process 0, :time 10, :index 0}
{:type :info, :f :start, :value nil, :process :nemesis}
{:type :invoke, :f :read, :value nil, :process 1}
{:type :ok, :f :write, :value 3, :process 0}
{:type :ok, :f :read, :value 3, :process 1}
{:type :invoke, :f :cas, :value [3 4], :process 0}
{:type :info, :f :cas, :value [3 4], :process 0, :error :timed-out}
{:type :invoke, :f :cas, :value [0 4], :process 5}
{:type :fail, :f :cas, :value [0 4], :process 5}
"""

LOG = """\
INFO  jepsen.core - Running test
INFO  jepsen.util - 3\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - 0\t:invoke\t:write\t4
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 3\t:fail\t:cas\t[1 2]
INFO  jepsen.util - 0\t:ok\t:write\t4
INFO  jepsen.util - 1\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:fail\t:read\t:timed-out
INFO  jepsen.util - 2\t:invoke\t:cas\t[4 1]
INFO  jepsen.util - 2\t:info\t:cas\t:timed-out
INFO  jepsen.util - 6\t:invoke\t:read\tnil
INFO  jepsen.util - 6\t:ok\t:read\t1
"""

NATIVE = """\
{"index": 0, "type": "invoke", "process": 0, "f": "write", "key": "x", "value": "a", "time_ns": 10}
{"index": 1, "type": "ok", "process": 0, "f": "write", "key": "x", "value": "a", "time_ns": 20}
{"index": 2, "type": "invoke", "process": 1, "f": "cas", "key": "x", "value": ["b", "c"], "time_ns": 30}
{"index": 3, "type": "ok", "process": 1, "f": "cas", "key": "x", "time_ns": 40, "applied": false, "seen": "a"}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def shown(ops: list[Op]) -> list[str]:
    return [show(op) for op in ops]


def test_edn_one_map_a_line(tmp_path: Path) -> None:
    history = read_history(write(tmp_path / "history.edn", EDN))
    assert shown(history.ops) == [
        "write 3 by client 0",
        "read -> 3 by client 1",
        "cas 3 to 4 (no answer) by client 0",
    ]
    assert [op.value for op in history.failed] == [(0, 4)]
    assert check_file(tmp_path / "history.edn").verdict is Verdict.PASS


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("(", ")")])
def test_edn_in_a_vector_or_list(tmp_path: Path, opening: str, closing: str) -> None:
    lines = [line for line in EDN.splitlines() if line[0] != ";"]
    path = write(tmp_path / "h.edn", opening + " ".join(lines) + closing)
    assert shown(read_history(path).ops) == shown(read_history(write(tmp_path / "2.edn", EDN)).ops)


def test_edn_in_small_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = EDN + '{:type :invoke, :f :write, :value "a}\\"\n;b", :process 9, :extra {:nested [{:a #{1 2}}]}}\n'
    whole = list(edn.events(io.BytesIO(text.encode()), "x", []))
    for piece in (7, 40, 100):
        monkeypatch.setattr(edn, "PIECE", piece)
        assert [event.value for event in edn.events(io.BytesIO(text.encode()), "x", [])] == [e.value for e in whole]
    assert whole[-1].value == 'a}"\n;b'


def test_edn_tags_discards_numbers_and_characters() -> None:
    text = '#jepsen.history.Op{:process 1, :type :invoke, :f :write, :value [1.5 -2 12N 3M \\a #_ :gone #{7} #inst "2014"]}'
    (event,) = edn.events(io.BytesIO(text.encode()), "x", [])
    assert event.value == (1.5, -2, 12, 3.0, "a", frozenset({7}), "2014")
    text = r'{:process 1, :type :ok, :f :read, :value [1/2 ##Inf \u0041 "\u00e9\"" :a/b #uuid "x" \newline]}'
    (event,) = edn.events(io.BytesIO(text.encode()), "x", [])
    assert event.value == (Fraction(1, 2), float("inf"), "A", 'é"', ":a/b", "x", "\n")


@pytest.mark.parametrize(
    "text",
    [
        "^{:line 3} {%s}",
        "^:old {%s}",
        "{:note ^{:a 1} [^:b 2], %s}",
        '{:pattern #"a.d", %s}',
        "{:at #'user/place, %s}",
        "\ufeff{%s}",
    ],
)
def test_what_stands_in_front_of_a_form_is_dropped(text: str) -> None:
    data = text % ":type :invoke, :f :write, :value ^String 5, :process 1"
    (event,) = edn.events(io.BytesIO(data.encode()), "x", [])
    assert (event.type, event.f, event.value, event.process) == ("invoke", "write", 5, 1)


def test_a_byte_order_mark_is_no_part_of_a_history(tmp_path: Path) -> None:
    for name, text in (("h.edn", EDN), ("h.jsonl", NATIVE)):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert check_file(path).verdict is Verdict.PASS


def test_plain_lines_are_read_as_the_full_reader_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several shapes, with strings, vectors, tags, brackets around and lines that are not plain among them."""
    lines = [
        "[{:type :invoke, :f :read, :value nil, :process 0, :time 1, :index 0}",
        " {:process 1 :type :invoke :f :write :value [1 [2 nil]]}",
        '{:type :ok, :f :read, :value "a b", :process 0, :time 2, :index 2}',
        "#jepsen.history.Op{:index 3, :time 3, :type :ok, :process 1, :f :write, :value [1 [2 nil]]}",
        "{:type :invoke, :f :read, :value #{1}, :process 0, :time 1, :index 4} ; not plain",
        "{:type :ok, :f :read, :value -1.5, :process 0, :time 1, :index 5}",
        '{:type :info, :f :start, :value {:a ["b" :type :ok]}, :process :nemesis}',
        "{:type :invoke, :f :read, :value 007, :process 2, :time 1, :index 6}]",
    ]
    data = "\n".join(lines).encode()
    quick = list(edn.events(io.BytesIO(data), "x", []))
    monkeypatch.setattr(edn, "MOST_SHAPES", 0)
    assert quick == list(edn.events(io.BytesIO(data), "x", []))
    assert [event.line for event in quick[:4]] == [1, 2, 3, 4]
    assert [event.value for event in quick] == [None, (1, (2, None)), "a b", (1, (2, None)), frozenset({1}), -1.5, 7]


def test_only_the_value_is_taken_from_the_quick_lines() -> None:
    text = "{:type :fail, :process 1, :f :read, :error [:no :f 2], :value 3}\n" * 2
    assert [event.f for event in edn.events(io.BytesIO(text.encode()), "x", [])] == ["read", "read"]


def test_a_torn_last_operation_is_left_out_and_told(tmp_path: Path) -> None:
    history = read_history(write(tmp_path / "h.edn", EDN + "{:type :invoke, :f :wri"))
    assert any("torn" in note for note in history.notes)
    history = read_history(write(tmp_path / "h.jsonl", NATIVE + '{"type": "invo'))
    assert any("torn" in note for note in history.notes)
    assert len(history.ops) == 2


@pytest.mark.parametrize(
    ("name", "text", "line", "what"),
    [
        ("h.edn", EDN + "nonsense\n", 11, "expected a map"),
        ("h.edn", "{:type :begin, :f :read, :process 0}\n", 1, "unknown type"),
        ("h.edn", "{:f :read, :process 0}\n", 1, "no :type"),
        ("h.edn", "{:type :ok, :f :read, :process 0}\n", 1, "no operation in flight"),
        ("h.jsonl", NATIVE + '{"type": "begin"}\n', 5, "expected an object such as"),
        ("h.jsonl", NATIVE + '{"type": "ok", "process": 8, "f": "read", "time_ns": 50}\n', 5, "no operation in flight"),
        ("h.jsonl", NATIVE + '{"type": "invoke", "process": 8, "f": "read"}\n', 5, "no time_ns"),
        ("h.jsonl", NATIVE.replace('"time_ns": 40', '"time_ns": 29'), 4, "before it began"),
        (
            "h.json",
            '[{"type": "invoke", "process": 8, "f": "read"},\n{"type" "ok"}]\n',
            2,
            "expected an object such as",
        ),
        ("h.jsonl", "\n\nwhat is this\n", 3, "expected a history"),
        ("h.log", "INFO  jepsen.util - 3\t:invoke\t:cas\t[1\n", 1, "cannot read the value"),
        ("empty", "", 1, "empty"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, name: str, text: str, line: int, what: str) -> None:
    with pytest.raises(FormatError, match=f"line {line}: .*{what}"):
        read_history(write(tmp_path / name, text))


def test_a_packed_history_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "history.edn.gz"
    path.write_bytes(gzip.compress(EDN.encode()))
    with pytest.raises(FormatError, match="unpack it first: zcat"):
        read_history(path)


def test_the_text_of_a_log(tmp_path: Path) -> None:
    """Its failed compare-and-set ran and differed; a failure by timeout may have happened."""
    path = write(tmp_path / "jepsen.log", LOG)
    assert sniff(path) == "jepsen-log"
    history = read_history(path)
    assert shown(history.ops) == [
        "cas 1 to 2 (failed, found unknown) by client 3",
        "write 4 by client 0",
        "cas 4 to 1 (no answer) by client 2",
        "read -> 1 by client 6",
    ]
    assert check_file(path).verdict is Verdict.PASS
    assert len(read_history(path, fails="did-not-happen").ops) == 3


def test_native_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "h.jsonl", NATIVE)
    history = read_history(path)
    assert history.times_are_ns
    assert shown(history.ops) == ["write x a by client 0", "cas x b to c (failed, found a) by client 1"]
    assert check_file(path).verdict is Verdict.PASS
    path.write_text(NATIVE.replace('"seen": "a"', '"seen": "b"'))
    assert check_file(path).violations[0].rule == "linearizability/failed-on-a-match"


def test_keys_in_the_value_or_in_a_field(tmp_path: Path) -> None:
    text = "".join(
        f"{{:type :{type_}, :f :{f}, :value {value}, :process {process}}}\n"
        for type_, f, value, process in [
            ("invoke", "write", "[1 7]", 0),
            ("ok", "write", "[1 7]", 0),
            ("invoke", "read", "[2 nil]", 1),
            ("ok", "read", "[2 nil]", 1),
        ]
    )
    path = write(tmp_path / "h.edn", text)
    assert check_file(path, key_field="value").verdict is Verdict.PASS
    assert {op.key for op in read_history(path, key_field="value").ops} == {1, 2}
    path = write(tmp_path / "h.jsonl", NATIVE.replace('"key"', '"register"'))
    assert {op.key for op in read_history(path, key_field="register").ops} == {"x"}
    with pytest.raises(FormatError, match=r"expected \[key value\]"):
        read_history(write(tmp_path / "bad.edn", EDN), key_field="value")


def test_a_field_for_keys_that_no_operation_has_is_a_mistake(tmp_path: Path) -> None:
    """Else two registers would be judged as one."""
    for name, text, kind in (("h.edn", EDN, "edn"), ("h.log", LOG, "jepsen-log"), ("h.jsonl", NATIVE, "native")):
        with pytest.raises(FormatError, match=f"no operation has a field 'kye' .*read as {kind}"):
            check_file(write(tmp_path / name, text), key_field="kye")


def test_reading_nothing_can_be_taken_loosely(tmp_path: Path) -> None:
    text = EDN.replace(":type :ok, :f :read, :value 3", ":type :ok, :f :read, :value nil") + "".join(
        f"{{:type :{type_}, :f :read, :value nil, :process 1}}\n" for type_ in ("invoke", "ok")
    )
    path = write(tmp_path / "h.edn", text)
    assert check_file(path).verdict is Verdict.FAIL
    assert check_file(path, nothing="unknown").verdict is Verdict.PASS


def test_the_first_value(tmp_path: Path) -> None:
    text = "{:type :invoke, :f :read, :process 0}\n{:type :ok, :f :read, :value 5, :process 0}\n"
    path = write(tmp_path / "h.edn", text)
    assert check_file(path).verdict is Verdict.FAIL
    assert check_file(path, init=5).verdict is Verdict.PASS
    assert check_file(path, init=ANY).verdict is Verdict.PASS
    assert parse_init("5") == 5
    assert parse_init("nil") is None
    assert parse_init("a word") == "a word"


@pytest.mark.parametrize(
    ("lines", "model", "verdict"),
    [
        ([("acquire", "nil", "nil"), ("release", "nil", "nil")], "mutex", Verdict.PASS),
        ([("release", "nil", "nil")], "mutex", Verdict.FAIL),
        ([("add", "1", "1"), ("read", "nil", "#{1}")], "set", Verdict.PASS),
        ([("add", "1", "1"), ("read", "nil", "[1 2]")], "set", Verdict.FAIL),
        ([("append", "1", "1"), ("read", "nil", "[1]")], "append-list", Verdict.PASS),
        ([("append", "1", "1"), ("append", "2", "2"), ("read", "nil", "[2 1]")], "append-list", Verdict.FAIL),
        ([("txn", "[[:w x 1]]", "[[:w x 1]]"), ("txn", "[[:r x nil]]", "[[:r x 1]]")], "multi-register", Verdict.PASS),
        ([("txn", "[[:w x 1]]", "[[:w x 1]]"), ("txn", "[[:r x nil]]", "[[:r x 2]]")], "multi-register", Verdict.FAIL),
    ],
)
def test_every_model_from_a_file(
    tmp_path: Path, lines: list[tuple[str, str, str]], model: str, verdict: Verdict
) -> None:
    text = "".join(
        f"{{:type :invoke, :f :{f}, :value {asked}, :process 0}}\n{{:type :ok, :f :{f}, :value {answer}, :process 0}}\n"
        for f, asked, answer in lines
    )
    path = write(tmp_path / "h.edn", text)
    assert guess_model(read_history(path)) == model
    assert check_file(path).verdict is verdict
    assert check_file(path, model=model).verdict is verdict


def edn_of(*lines: tuple[str, str, str, str]) -> str:
    """(type, function, value, process) a line."""
    return "".join(f"{{:type :{t}, :f :{f}, :value {v}, :process {p}}}\n" for t, f, v, p in lines)


def one_by_one(*calls: tuple[str, str, str]) -> str:
    """(function, asked, answered) one after the other."""
    return edn_of(*((t, f, v, "0") for f, asked, answered in calls for t, v in (("invoke", asked), ("ok", answered))))


@pytest.mark.parametrize(
    ("calls", "model", "verdict"),
    [
        ([("get", "nil", '""'), ("append", '"x"', '"x"'), ("get", "nil", '"x"')], "text", Verdict.PASS),
        ([("append", '"x"', '"x"'), ("put", '"y"', '"y"'), ("get", "nil", '"xy"')], "text", Verdict.FAIL),
        ([("put", '"y"', '"y"'), ("append", '"x"', '"x"'), ("get", "nil", '"yx"')], "text", Verdict.PASS),
        ([("add", "2", "2"), ("add", "-1", "-1"), ("read", "nil", "1")], "counter", Verdict.PASS),
        ([("add", "2", "2"), ("add", "2", "2"), ("read", "nil", "2")], "counter", Verdict.FAIL),
        ([("add", "1", "1"), ("read", "nil", "[1 1]")], "set", Verdict.FAIL),
        ([("txn", "[[:r :x nil] [:append :x 1]]", "[[:r :x nil] [:append :x 1]]")], "multi-register", Verdict.PASS),
        ([("txn", "[[:append :x 1] [:r :x nil]]", "[[:append :x 1] [:r :x [2]]]")], "multi-register", Verdict.FAIL),
        ([("write", "[nil 7]", "[1 7]"), ("read", "[nil nil]", "[1 7]")], "versioned-register", Verdict.PASS),
        ([("write", "[nil 7]", "[2 7]"), ("read", "[nil nil]", "[2 7]")], "versioned-register", Verdict.FAIL),
        (
            [("write", "[nil 7]", "[1 7]"), ("cas", "[nil [7 8]]", "[2 [7 8]]"), ("read", "[nil nil]", "[2 8]")],
            "versioned-register",
            Verdict.PASS,
        ),
    ],
)
def test_models_that_the_answers_tell(
    tmp_path: Path, calls: list[tuple[str, str, str]], model: str, verdict: Verdict
) -> None:
    path = write(tmp_path / "h.edn", one_by_one(*calls))
    assert guess_model(read_history(path)) == model
    assert check_file(path).verdict is verdict


def test_queues_must_be_named(tmp_path: Path) -> None:
    calls = [("enqueue", "1", "1"), ("enqueue", "2", "2"), ("dequeue", "nil", "2")]
    path = write(tmp_path / "h.edn", one_by_one(*calls))
    with pytest.raises(ValueError, match="--model fifo-queue or unordered-queue"):
        check_file(path)
    assert check_file(path, model="fifo-queue").verdict is Verdict.FAIL
    assert check_file(path, model="unordered-queue").verdict is Verdict.PASS
    path = write(tmp_path / "h.edn", one_by_one(*calls, ("dequeue", "nil", "2")))
    assert check_file(path, model="unordered-queue").verdict is Verdict.FAIL


def test_first_values_of_several_registers(tmp_path: Path) -> None:
    path = write(tmp_path / "h.edn", one_by_one(("txn", "[[:r :x nil] [:r :y nil]]", "[[:r :x 0] [:r :y 0]]")))
    assert check_file(path).verdict is Verdict.FAIL
    for text in ("{:x 0 :y 0}", '{"x": 0, "y": 0}', "0"):
        assert check_file(path, init=parse_init(text)).verdict is Verdict.PASS
    assert check_file(path, init=parse_init("{:x 0 :y 1}")).verdict is Verdict.FAIL
    assert check_file(path, init=ANY).verdict is Verdict.PASS
    again = write(tmp_path / "2.edn", one_by_one(*[("txn", "[[:r :x nil]]", f"[[:r :x {value}]]") for value in (0, 1)]))
    assert check_file(again, init=ANY).verdict is Verdict.FAIL


def test_a_first_value_for_a_model_that_does_not_fit_is_the_users_mistake(tmp_path: Path) -> None:
    rows = [("invoke", "cas", "[1 2]"), ("ok", "cas", "[1 2]"), ("invoke", "write", "3"), ("ok", "write", "3")]
    text = "\n".join(f"{{:type :{type_}, :process 0, :f :{f}, :value {value}}}" for type_, f, value in rows)
    path = write(tmp_path / "h.edn", text)
    for init in ("7", "{:x 0 :y 0}"):
        with pytest.raises(ValueError, match="the model multi-register does not know cas"):
            check_file(path, model="multi-register", init=parse_init(init))


def test_what_an_illegal_history_could_mean_otherwise_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "h.edn", one_by_one(("read", "nil", "0"), ("write", "1", "1")))
    assert check_file(path).violations[0].details["legal_if"] == ["it began with 0 (--init)"]
    path = write(tmp_path / "h.edn", one_by_one(("write", "1", "1"), ("read", "nil", "nil")))
    assert "--nothing unknown" in check_file(path).violations[0].details["legal_if"][0]
    path = write(tmp_path / "h.edn", one_by_one(("write", "1", "1"), ("read", "nil", "2")))
    assert "legal_if" not in check_file(path).violations[0].details


def test_names_of_clients(tmp_path: Path) -> None:
    """Only the nemesis is no client."""
    text = edn_of(
        ("info", "start", "nil", ":nemesis"),
        ("invoke", "write", "1", ":a"),
        ("ok", "write", "1", ":a"),
        ("invoke", "read", "nil", ":b"),
        ("ok", "read", "2", ":b"),
    )
    path = write(tmp_path / "h.edn", text)
    assert [op.process for op in read_history(path).ops] == [":a", ":b"]
    assert check_file(path).verdict is Verdict.FAIL


def test_an_operation_may_end_after_it_had_ended_in_info(tmp_path: Path) -> None:
    text = edn_of(
        ("invoke", "write", "1", "0"),
        ("info", "write", ":timeout", "0"),
        ("ok", "write", "1", "0"),
        ("invoke", "read", "nil", "1"),
        ("ok", "read", "nil", "1"),
    )
    path = write(tmp_path / "h.edn", text)
    assert any("after it had ended in info" in note for note in read_history(path).notes)
    assert check_file(path).verdict is Verdict.FAIL


def test_the_value_that_a_completion_names_is_the_one_that_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "h.edn", one_by_one(("write", "1", "2"), ("read", "nil", "2")))
    assert check_file(path).verdict is Verdict.PASS
    assert any("completes as 2" in note for note in read_history(path).notes)


def test_logs_of_newer_versions(tmp_path: Path) -> None:
    """A date and a worker in front, an error behind: what failed with an error did not run."""
    lines = [
        "java.lang.Exception: something else",
        "2020-01-01 00:00:00,001{GMT}\tINFO\t[jepsen worker 0] jepsen.util: 0\t:invoke\t:write\t[5 1]",
        "2020-01-01 00:00:00,002{GMT}\tINFO\t[jepsen worker 0] jepsen.util: 0\t:ok\t:write\t[5 1]",
        "2020-01-01 00:00:00,003{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:invoke\t:cas\t[5 [1 2]]",
        "2020-01-01 00:00:00,004{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:fail\t:cas\t[5 [1 2]]\t:unavailable",
        "2020-01-01 00:00:00,005{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:invoke\t:read\t[5 nil]",
        "2020-01-01 00:00:00,006{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:ok\t:read\t[5 1]",
    ]
    path = write(tmp_path / "jepsen.log", "\n".join(lines))
    assert sniff(path) == "jepsen-log"
    history = read_history(path)
    assert shown(history.ops) == ["write 5 1 by client 0", "read 5 -> 1 by client 1"]
    assert [op.f for op in history.failed] == ["cas"]
    assert check_file(path).verdict is Verdict.PASS
    path.write_text("\n".join(lines).replace("\t:unavailable", ""))
    assert check_file(path).verdict is Verdict.FAIL


def test_keys_in_values_without_a_read(tmp_path: Path) -> None:
    sets = [("cas", "[1 [nil 3]]", "[1 [nil 3]]"), ("cas", "[2 [nil 3]]", "[2 [nil 3]]")]
    path = write(tmp_path / "h.edn", one_by_one(*sets))
    assert {op.key for op in read_history(path).ops} == {1, 2}
    pairs = write(
        tmp_path / "pairs.edn", one_by_one(("cas", "[nil [1 2]]", "[nil [1 2]]"), ("write", "[3 4]", "[3 4]"))
    )
    assert {op.key for op in read_history(pairs).ops} == {None}


def test_keys_in_values_of_a_history_that_reads_only_at_its_end(tmp_path: Path) -> None:
    adds = [f"{{:process 0, :type :{kind}, :f :add, :value [k {i}]}}" for i in range(150) for kind in ("invoke", "ok")]
    end = [
        "{:process 0, :type :invoke, :f :read, :value [k nil]}",
        f"{{:process 0, :type :ok, :f :read, :value [k [{' '.join(map(str, range(150)))}]]}}",
    ]
    path = write(tmp_path / "h.edn", "\n".join(adds + end))
    assert {op.key for op in read_history(path).ops} == {"k"}
    assert check_file(path).verdict is Verdict.PASS
    path = write(tmp_path / "h.edn", "\n".join(adds[2:] + end))
    assert check_file(path).verdict is Verdict.FAIL
    whole = [line.replace("[k nil]", "nil") for line in end]
    assert {op.key for op in read_history(write(tmp_path / "h.edn", "\n".join(adds + whole))).ops} == {None}


TRANSACTIONS = """\
{:process 1, :type :invoke, :value [[:append x 1] [:r x]]}
{:process 1, :type :ok, :value [[:append x 1] [:r x [1]]]}
{:process 2, :type :invoke, :value [[:r x]]}
{:process 3, :type :invoke, :value [[:append x 2]]}
{:process 2, :type :info, :value [[:r x]]}
{:process 4, :type :invoke, :value [[:r x]]}
{:process 4, :type :ok, :value [[:r x]]}
{:process 5, :type :invoke, :value [[:r x]]}
{:process 5, :type :ok, :value [[:r x %s]]}
"""


def test_transactions_may_leave_out_what_goes_without_saying(tmp_path: Path) -> None:
    """``:f :txn``, and the value of a read that is not known yet, or never."""
    for model in ("auto", "multi-register"):
        assert check_file(write(tmp_path / "h.edn", TRANSACTIONS % "[1 2]"), model=model).verdict is Verdict.PASS
        assert check_file(write(tmp_path / "h.edn", TRANSACTIONS % "[2 1]"), model=model).verdict is Verdict.FAIL


def test_what_is_no_transaction_is_told(tmp_path: Path) -> None:
    lines = "{:process 1, :type :invoke, :f :txn, :value %s}\n{:process 1, :type :ok, :f :txn, :value %s}\n"
    for strange in ("{:from 1, :to 2}", "[[:cas x [1 2]]]", "[[:w x]]", "nil"):
        path = write(tmp_path / "h.edn", lines % (strange, strange))
        for model in ("auto", "multi-register"):
            with pytest.raises(ValueError, match="operation 0: the model multi-register expects"):
                check_file(path, model=model)
    path = write(tmp_path / "h.edn", lines % ("nil", "[[:r x nil]]"))
    assert check_file(path).verdict is Verdict.PASS


def test_true_and_one_differ(tmp_path: Path) -> None:
    edn_lines = "{:process 1, :type :%s, :f :%s, :value %s}"
    for told, verdict in (("true", Verdict.PASS), ("1", Verdict.FAIL)):
        rows = [("invoke", "write", "true"), ("ok", "write", "true"), ("invoke", "read", "nil"), ("ok", "read", told)]
        assert check_file(write(tmp_path / "h.edn", "\n".join(edn_lines % row for row in rows))).verdict is verdict
        lines = [json.dumps({"process": 1, "type": t, "f": f, "value": parse_init(v)}) for t, f, v in rows]
        assert check_file(write(tmp_path / "h.jsonl", "\n".join(lines) + "\n")).verdict is verdict
    locked = "\n".join(edn_lines % (t, "cas", "[false true]") for t in ("invoke", "ok"))
    assert check_file(write(tmp_path / "h.edn", locked), init=parse_init("false")).verdict is Verdict.PASS


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "h.edn", EDN)
    with pytest.raises(ValueError, match="unknown model 'regster'"):
        make_model("regster")
    with pytest.raises(ValueError, match="does not know cas"):
        check_file(path, model="register")


def recorded() -> list[Operation]:
    return [
        Operation("invoke", 10, 1, 1, "write", "x", "a", intended_ns=9),
        Operation("ok", 20, 1, 1, "write", "x", "a", node=2),
        Operation("invoke", 30, 1, 2, "cas", "x", ["b", "c"]),
        Operation("ok", 40, 1, 2, "cas", "x", ["b", "c"], applied=False, seen="a"),
        Operation("invoke", 50, 2, 1, "read", "y"),
        Operation("info", 60, 2, 1, "read", "y", error='a "timeout"'),
    ]


def test_a_recorded_history_can_be_exported_and_judged_again(tmp_path: Path) -> None:
    export.write_native(tmp_path / "h.jsonl", recorded())
    assert check_file(tmp_path / "h.jsonl").verdict is Verdict.PASS
    assert shown(read_history(tmp_path / "h.jsonl").ops)[1] == "cas x b to c (failed, found a) by client 1"
    export.write_edn(tmp_path / "h.edn", recorded())
    assert check_file(tmp_path / "h.edn", key_field="value").verdict is Verdict.PASS
    export.write_edn(tmp_path / "plain.edn", recorded(), keyed=False)
    assert {op.key for op in read_history(tmp_path / "plain.edn").ops} == {"x", "y"}
    assert edn.parse(edn._TOKEN.findall(export.edn_value({"tombstone": "a"})), 0)[0] == {"tombstone": "a"}


def test_the_schema_of_native_lines_is_up_to_date() -> None:
    path = Path(__file__).parents[4] / "docs" / "native-history.schema.json"
    assert json.loads(path.read_text()) == native.schema()
    assert "time_ns" in str(native.schema())


def test_no_answer_is_not_nothing(tmp_path: Path) -> None:
    history = read_history(write(tmp_path / "h.edn", "{:type :invoke, :f :read, :process 0}\n"))
    assert history.ops[0].result is UNKNOWN
    assert history.ops[0].pending


def test_clients_that_go_on_after_a_crash_are_noted(tmp_path: Path) -> None:
    text = "{:type :invoke, :f :write, :value 1, :process 0}\n{:type :invoke, :f :write, :value 2, :process 0}\n"
    history = read_history(write(tmp_path / "h.edn", text))
    assert [op.pending for op in history.ops] == [True, True]
    assert "in flight" in history.notes[0]


def test_values_that_bear_keys_are_told_from_pairs_that_are_values(tmp_path: Path) -> None:
    def judged(*lines: str) -> Verdict:
        path = tmp_path / "history.edn"
        path.write_text("\n".join(lines))
        return check_file(path).verdict

    write = "{:process 0, :type %s, :f :write, :value [%s %s]}"
    read = "{:process 1, :type %s, :f :read, :value %s}"
    two_keys = (
        write % (":invoke", 1, 7),
        write % (":ok", 1, 7),
        read % (":invoke", "[2 nil]"),
        read % (":ok", "[2 nil]"),
    )
    assert judged(*two_keys) is Verdict.PASS
    one_register = (write % (":invoke", 1, 7), write % (":ok", 1, 7), read % (":invoke", "nil"), read % (":ok", "nil"))
    assert judged(*one_register) is Verdict.FAIL


def test_a_deleted_value_comes_back_from_edn_as_it_was(tmp_path: Path) -> None:
    rows = [
        Operation("invoke", 1, 1, 1, "delete", "k", "gone"),
        Operation("ok", 2, 1, 1, "delete", "k", "gone"),
        Operation("invoke", 3, 2, 1, "read", "k"),
        Operation("ok", 4, 2, 1, "read", "k", {"tombstone": "gone"}),
    ]
    export.write_edn(tmp_path / "history.edn", rows)
    assert check_file(tmp_path / "history.edn").verdict is Verdict.PASS


ARRAY = """\
[
  {"type": "invoke", "f": "txn", "value": [["append", "x", 1]], "process": 0, "error": ["a", 1]},
  {"type": "ok", "value": [["append", "x", 1]], "process": 0,
   "f": "txn"},
  {"type": "invoke", "value": [["r", "x", null]], "process": "c1", "f": ":txn"}, {"type": ":ok", "f": "txn",
   "value": [["r", "x", [1]]], "process": "c1"},
  {"type": "info", "f": "start", "process": "nemesis"}
]
"""


@pytest.mark.parametrize("around", ["{}", '{{"name": "t", "history": {}, "nodes": ["n1"]}}'])
def test_json_in_an_array_or_a_map(tmp_path: Path, around: str) -> None:
    path = write(tmp_path / "h.json", around.format(ARRAY))
    assert sniff(path) == "native"
    history = read_history(path)
    assert [(op.f, op.process, op.result) for op in history.ops] == [
        ("txn", 0, (("append", "x", 1),)),
        ("txn", "c1", (("r", "x", (1,)),)),
    ]
    assert check_file(path).verdict is Verdict.PASS
    write(path, around.format(ARRAY.replace("[1]", "[]")))
    assert check_file(path).verdict is Verdict.FAIL


def test_a_torn_array(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", ARRAY[: ARRAY.index('"value": [["r", "x", [1]]]')])
    history = read_history(path)
    assert len(history.ops) == 2
    assert history.notes == ["line 5: the last operation is torn and left out"]


@pytest.mark.parametrize(
    "text",
    [
        "{:valid? true :history [{:type :invoke, :f :read, :process 0} {:type :ok, :f :read, :process 0, :value 1}]}",
        '{"type" "invoke", "f" "read", "process" 0}\n{"type" "ok", "f" "read", "process" 0, "value" 1}\n',
        '{"type" :invoke, "f" :read, "process" 0}\n{:type :ok, :f :read, :process 0, :value 1}\n',
    ],
)
def test_edn_with_other_names_for_the_same(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "h.edn", text)
    assert [op.result for op in read_history(path).ops] == [1]
    assert check_file(path).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0x1F", 31),
        ("-0x10", -16),
        ("017", 15),
        ("2r101", 5),
        ("36rZ", 35),
        ("4/2", 2),
        ("1/2", Fraction(1, 2)),
        ("0", 0),
    ],
)
def test_numbers_of_edn(token: str, value: Any) -> None:
    assert edn.read_value(token) == value
    for line in (f"{{:type :ok, :f :x, :process 0, :value {token}}}\n", f"{{:type :ok, :value #t [{token}]}}"):
        found = next(edn.forms(io.BytesIO(line.encode()), "h.edn", [], frozenset({":value"})))[0][":value"]
        assert found in (value, (value,))


@pytest.mark.parametrize(
    "text", ["[]", "()\n", "{:history []}", '{"history": []}\n', "{:type :info, :f :start, :process :nemesis}\n"]
)
def test_of_an_empty_history_nothing_is_judged(tmp_path: Path, text: str) -> None:
    result = check_file(write(tmp_path / "h", text))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "nothing was judged" in result.summary


def test_without_names_of_clients_there_is_one(tmp_path: Path) -> None:
    lines = [
        line.replace(", :process 0", "") for line in one_by_one(("write", "1", "1"), ("read", "nil", "2")).splitlines()
    ]
    path = write(tmp_path / "h.edn", "\n".join(lines))
    assert check_file(path).verdict is Verdict.FAIL
    assert read_history(path).notes == ["no operation names its process; all are read as of one client"]
    with pytest.raises(FormatError, match="line 2: an operation begins while another is in flight"):
        read_history(write(path, "\n".join(lines[::2])))
    mixed = write(path, "\n".join([*lines, *one_by_one(("read", "nil", "nil")).splitlines()]))
    assert check_file(mixed).verdict is Verdict.PASS  # an operation of nobody is none of a client


@pytest.mark.parametrize(
    ("calls", "verdict"),
    [
        ([("inc", "nil", "nil"), ("increment", "2", "2"), ("decr", "nil", "nil"), ("read", "nil", "2")], Verdict.PASS),
        ([("inc", "nil", "nil"), ("inc", "nil", "nil"), ("read", "nil", "1")], Verdict.FAIL),
        ([("inc", "nil", "1"), ("inc", "nil", "2"), ("dec", "2", "0")], Verdict.PASS),
        ([("inc", "nil", "1"), ("inc", "nil", "1")], Verdict.FAIL),
        ([("add-and-get", "3", "3"), ("add-and-get", "3", "3")], Verdict.FAIL),
        ([("inc", "nil", "0"), ("inc", "nil", "1")], Verdict.FAIL),
    ],
)
def test_counters_that_count(tmp_path: Path, calls: list[tuple[str, str, str]], verdict: Verdict) -> None:
    path = write(tmp_path / "h.edn", one_by_one(*calls))
    assert guess_model(read_history(path)) == "counter"
    result = check_file(path)
    assert result.verdict is verdict
    if calls[0] == ("inc", "nil", "0"):
        assert result.violations[0].details["legal_if"] == ["inc and dec answer what the counter held before"]


def test_an_answer_without_the_key_is_all_that_was_read(tmp_path: Path) -> None:
    calls = [("add", f"[0 {value}]", f"[0 {value}]") for value in range(3)]
    path = write(tmp_path / "h.edn", one_by_one(*calls, ("read", "[0 nil]", "[0 1 2]")))
    assert check_file(path).verdict is Verdict.PASS
    path = write(tmp_path / "h.edn", one_by_one(*calls, ("read", "[0 nil]", "[0 1 4]")))
    assert check_file(path).verdict is Verdict.FAIL


def test_marks_between_the_operations_and_clients_by_that_name(tmp_path: Path) -> None:
    mark = '{"type": "info", "event": "phase"}\n'
    lines = '{"type": "invoke", "client": 3, "f": "read"}\n{"type": "ok", "client": 3, "f": "read", "value": 1}\n'
    for text in (mark + lines + mark, f"[{mark},{','.join(lines.splitlines())}]"):
        assert [(op.process, op.result) for op in read_history(write(tmp_path / "h.json", text)).ops] == [(3, 1)]


def test_compare_and_sets_of_three(tmp_path: Path) -> None:
    calls = [("write", '["a" 1]', '["a" 1]'), ("cas", '["a" 1 2]', '["a" 1 2]'), ("read", '["b" nil]', '["b" nil]')]
    path = write(tmp_path / "h.edn", one_by_one(*calls, ("read", '["a" nil]', '["a" 2]')))
    assert [(op.key, op.value) for op in read_history(path).ops[:2]] == [("a", 1), ("a", (1, 2))]
    assert check_file(path).verdict is Verdict.PASS
    assert check_file(write(path, one_by_one(*calls, ("read", '["a" nil]', '["a" 1]')))).verdict is Verdict.FAIL
    assert {op.key for op in read_history(write(path, one_by_one(*calls[:2]))).ops} == {"a"}
