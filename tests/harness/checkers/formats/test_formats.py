"""Histories of other tools: read, judged, written, and what is said of files that are broken."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from harness.checkers.formats import edn, export, native
from harness.checkers.formats.events import FormatError
from harness.checkers.formats.files import ANY, check_file, guess_model, make_model, parse_init, read_history, sniff
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
        ("h.jsonl", NATIVE + '{"type": "ok", "process": 8, "f": "read"}\n', 5, "no operation in flight"),
        ("h.jsonl", "\n\nwhat is this\n", 3, "expected a history"),
        ("h.log", "INFO  jepsen.util - 3\t:invoke\t:cas\t[1\n", 1, "cannot read the value"),
        ("empty", "", 1, "empty"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, name: str, text: str, line: int, what: str) -> None:
    with pytest.raises(FormatError, match=f"line {line}: .*{what}"):
        read_history(write(tmp_path / name, text))


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
