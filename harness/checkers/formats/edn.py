"""Jepsen's ``history.edn``: one map a line, or all maps in a vector or list. Streamed in pieces of a megabyte.

Understood: maps, vectors, lists, sets, strings, numbers (also ``1/2``, ``12N``, ``0x1F``, ``1.5M``, ``##Inf``), ``nil``,
``true``, ``false``, keywords, symbols, characters. Dropped: comments, discarded forms (``#_``), metadata (``^:m``) and tags
(``#jepsen.history.Op{…}``). Keywords keep their colon, so that ``:a`` and ``"a"`` differ; only the names of the fields of an
operation may be either. A transaction ``[[f key value] …]`` needs no ``:f``. All operations may stand in a field of a map
(``{:history […]}``). Operations of the nemesis are left out.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from harness.checkers.formats.events import ALIASES, NO_CLIENTS, Event, FormatError, checked_type, is_transaction
from harness.checkers.linearizability.history import Truth, freeze

PIECE = 1 << 20
_TOKEN = re.compile(r'#\{|#_|[{}\[\]()]|"(?:[^"\\]|\\.)*"?|;[^\n]*|\\.[^\s,{}\[\]()";]*|[^\s,{}\[\]()";\\]+', re.DOTALL)
_CLOSERS = {"{": "}", "[": "]", "(": ")", "#{": "}"}
_NESTED = frozenset("{[(") | {"#{", "#_"}
_NUMBER = re.compile(r"([+-]?)(?:(0|[1-9]\d*)|0[xX]([\da-fA-F]+)|0([0-7]+)|(\d\d?)[rR](\w+))N?$")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "b": "\b", "f": "\f"}


class _Incomplete(Exception):
    """A form goes on in the next piece; at which token it begins, if that is told."""

    def __init__(self, at: int = 0) -> None:
        super().__init__(at)
        self.at = at


class _Bad(Exception):
    """Something that is no EDN, at a token."""

    def __init__(self, token: int, what: str) -> None:
        super().__init__(what)
        self.token = token


_atoms: dict[str, Any] = {"nil": None, "true": Truth.TRUE, "false": Truth.FALSE}


def _atom(token: str) -> Any:
    """The value of a token that is no bracket; small ones are remembered."""
    if token in _atoms:
        return _atoms[token]
    first = token[0]
    value: Any = token
    if first == '"':
        value = _ESCAPE.sub(_escaped, token[1:-1])
    elif first == "\\":
        value = _character(token[1:])
    elif token in _SPECIAL:
        return float(token[2:])
    elif first in "+-0123456789":
        value = int(token) if first in "123456789" and token.isdecimal() else _other_number(token)
        if type(value) is int:
            return value
    if len(_atoms) < 10_000 and len(token) < 40:
        _atoms[token] = value
    return value


_SPECIAL = frozenset({"##Inf", "##-Inf", "##NaN"})


def _escaped(found: re.Match[str]) -> str:
    text = found[1]
    return chr(int(text[1:], 16)) if len(text) == 5 else _ESCAPES.get(text, text)


def _character(name: str) -> str:
    """``\\a``, ``\\newline``, ``\\u0041``"""
    if len(name) == 5 and name[0] == "u":
        return chr(int(name[1:], 16))
    return {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}.get(name, name)


def _other_number(token: str) -> Any:
    """Integers (``-3``, ``12N``, ``0x1F``, ``017``, ``2r101``), ratios, floats, decimals (``1.5M``); all else is a symbol."""
    try:
        if (found := _NUMBER.match(token)) is not None:
            sign, decimal, hexadecimal, octal, base, digits = found.groups()
            value = int(
                decimal or hexadecimal or octal or digits, int(base or (10 if decimal else 16 if hexadecimal else 8))
            )
            return -value if sign == "-" else value
        if "/" in token:
            ratio = Fraction(token)
            return ratio.numerator if ratio.denominator == 1 else ratio
        return float(token.rstrip("M"))
    except (ValueError, ZeroDivisionError):
        return token


def parse(tokens: list[str], at: int) -> tuple[Any, int]:
    """The form that begins at a token, frozen unless it is a map, and where the next begins. Raises _Incomplete or _Bad."""
    if at >= len(tokens):
        raise _Incomplete
    token = tokens[at]
    if token in _CLOSERS:
        closer = _CLOSERS[token]
        items: list[Any] = []
        at += 1
        while True:
            if at >= len(tokens):
                raise _Incomplete
            if tokens[at] == closer:
                break
            if tokens[at] == "#_":
                _, at = parse(tokens, at + 1)
                continue
            item, at = parse(tokens, at)
            items.append(freeze(item) if type(item) is dict and token != "{" else item)
        if token == "{":
            if len(items) % 2:
                raise _Bad(at, "a map with an odd number of forms")
            return dict(zip(map(_frozen, items[0::2]), items[1::2], strict=True)), at + 1
        return (frozenset(items) if token == "#{" else tuple(items)), at + 1
    if token in ("}", "]", ")"):
        raise _Bad(at, f"a {token!r} that closes nothing")
    before = _before_form(tokens, at)
    return (_atom(token), at + 1) if before == at else parse(tokens, before)


def _before_form(tokens: list[str], at: int) -> int:
    """Past what only stands in front of a form: a discarded one, metadata (``^:m``, ``^{…}``), a tag (or ``#`` of ``#"…"``)."""
    token = tokens[at]
    if token in ("#_", "^"):
        return parse(tokens, at + 1)[1]
    if token[0] == "^" or (token[0] == "#" and token not in _SPECIAL and token[1:2] not in ("{", "'")):
        return at + 1
    return at


def read_value(text: str) -> Any:
    """The one form in a text; a text that is not just one form stands for itself."""
    tokens = _TOKEN.findall(text)
    try:
        value, end = parse(tokens, 0)
    except (_Bad, _Incomplete):
        return text
    return value if end == len(tokens) else text


def _frozen(value: Any) -> Any:
    """Of what ``parse`` gives, only maps are not frozen yet."""
    return freeze(value) if type(value) is dict else value


def _flat_map(tokens: list[str], at: int, wanted: frozenset[str]) -> tuple[dict[Any, Any], int]:
    """``parse`` of a map, of which ``wanted`` fields are needed; quick if only vectors of atoms are nested in it."""
    try:
        end = tokens.index("}", at)
    except ValueError:
        raise _Incomplete from None
    found: dict[Any, Any] = {}
    here = at + 1
    while here < end:
        key = tokens[here]
        here += 1
        token = tokens[here]
        if token in _NESTED or token[0] in "#^" or key in _NESTED or key[0] in '#^"':
            if token == "[" and key[0] == ":":
                value, here = parse(tokens, here)
                found[key] = value
                if here > end:
                    return parse(tokens, at)
                continue
            return parse(tokens, at)
        if key in wanted:
            found[key] = _atoms[token] if token in _atoms else _atom(token)
        here += 1
    if here != end:
        return parse(tokens, at)
    return found, end + 1


def forms(
    file: BinaryIO, path: Path | str, notes: list[str], wanted: frozenset[str]
) -> Iterator[tuple[dict[Any, Any], int]]:
    """Every map at the top (or in a vector or list there), with the number of the line it begins at.

    A form that is torn at the end of the file is told in ``notes`` and left out. Raises FormatError.
    """
    left: list[str] = []
    left_line = 0
    shapes: list[_Shape] = []
    carry = file.read(len(BOM_UTF8)).removeprefix(BOM_UTF8)
    line = 1
    while True:
        data = file.read(PIECE)
        piece = carry + data
        if data:
            cut = piece.rfind(b"\n") + 1 or piece.rfind(b"}") + 1
            if not cut:
                carry = piece
                continue
            piece, carry = piece[:cut], piece[cut:]
        else:
            carry = b""
        try:
            text = piece.decode()
        except UnicodeDecodeError as error:
            raise FormatError(path, line + piece.count(b"\n", 0, error.start), "expected UTF-8 text") from None
        start = 0
        while start < len(text) and not left:
            quick, start = _quick_lines(text, start, wanted, shapes)
            for found in quick:
                yield found, line
                line += 1
            end = text.find("\n", start) + 1
            whole = _whole_line(text[start:end], wanted) if end else None
            if whole is None:
                break
            for found in whole:
                yield found, line
            line += 1
            start = end
        text = text[start:]
        matches = [match for match in _TOKEN.finditer(text) if match[0][0] != ";"]
        tokens = left + [match[0] for match in matches]
        if matches and data and _open_string(tokens[-1]):
            carry = tokens.pop().encode() + carry
            text = text[: matches[-1].start()]
        lines = _Lines(text, line)
        before = len(left)
        try:
            for at, found in _maps(tokens, wanted):
                yield found, lines.of(matches[at - before].start()) if at >= before else left_line
            left = []
        except _Incomplete as open_form:
            if not left or open_form.at >= before:
                left_line = lines.of(matches[open_form.at - before].start())
            left = tokens[open_form.at :]
        except _Bad as bad:
            where = lines.of(matches[bad.token - before].start()) if bad.token >= before else left_line
            raise FormatError(path, where, str(bad)) from None
        line += text.count("\n")
        if not data:
            if left:
                notes.append(f"line {left_line}: the last operation is torn and left out")
            return


class _Lines:
    """Numbers of lines in a text, asked for in rising order."""

    def __init__(self, text: str, first: int) -> None:
        self.text, self.line, self.position = text, first, 0

    def of(self, position: int) -> int:
        self.line += self.text.count("\n", self.position, max(position, self.position))
        self.position = max(position, self.position)
        return self.line


def _maps(tokens: list[str], wanted: frozenset[str]) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Every map at the top, with the token it begins at. Raises _Incomplete with the token of the form that is not whole."""
    at = 0
    while at < len(tokens):
        start, token = at, tokens[at]
        try:
            if token == "{":
                found, at = _flat_map(tokens, at, wanted)
                yield start, found
            elif token in "[]()":
                at += 1
            elif (after := _before_form(tokens, at)) > at:
                at = after
            else:
                example = "{:type :invoke, :process 0, :f :read, :value nil}"
                raise _Bad(at, f"expected a map such as {example}, found {token}")
        except _Incomplete:
            raise _Incomplete(start) from None


def _whole_line(text: str, wanted: frozenset[str]) -> list[dict[Any, Any]] | None:
    """The maps on a line that holds nothing but whole maps (and brackets around all of them); None: it does not."""
    tokens = [token for token in _TOKEN.findall(text) if token[0] != ";"]
    if "#_" in tokens or any(_open_string(token) for token in tokens):
        return None
    try:
        return [found for _, found in _maps(tokens, wanted)]
    except (_Incomplete, _Bad):
        return None


_WORD = r'[^\s,{}\[\]"#;\\()]++'
_ITEMS = r'[^{}\[\]"#;\\()\n]++'
_VECTOR = rf"\[(?:{_ITEMS})?\]"
for _ in range(3):
    _VECTOR = rf"\[(?:{_ITEMS}|{_VECTOR})*+\]"
_PLAIN = rf'(?>{_WORD}|"[^"\\\n]*+"|{_VECTOR})'
"""A value on one line that needs no full reader: a word, a string without escapes, a vector of words or such vectors."""
_OPENING = r"[ \t]*[\[(]?[ \t]*(?:#[\w.]+)?\{[ \t]*"
_CLOSING = r"[ \t,]*\}[ \t\r,]*[\])]?[ \t\r]*(?:\n|\Z)"
_opening, _closing = re.compile(_OPENING), re.compile(_CLOSING)
_field = re.compile(rf"(:{_WORD})[ \t]+{_PLAIN}(?:[ \t,]+|(?=\}}))")
MOST_SHAPES = 8


class _Shape(NamedTuple):
    """What plain maps with the same fields in the same order look like, one a line."""

    match: Callable[[str, int], re.Match[str] | None]
    keys: tuple[str, ...]
    """Of the groups that match."""


def _shape_of(text: str, start: int, wanted: frozenset[str]) -> _Shape | None:
    """The shape of the line that begins there; None if it is no plain map."""
    found = _opening.match(text, start)
    if found is None:
        return None
    keys: list[str] = []
    at = found.end()
    while (field := _field.match(text, at)) is not None:
        keys.append(field[1])
        at = field.end()
    if not keys or _closing.match(text, at) is None or len(set(keys)) < len(keys):
        return None
    pattern = r"[ \t,]++".join(rf"{re.escape(key)}[ \t]++({'' if key in wanted else '?:'}{_PLAIN})" for key in keys)
    return _Shape(re.compile(_OPENING + pattern + _CLOSING).match, tuple(key for key in keys if key in wanted))


class _Values(dict[str, Any]):
    """Token -> its value, frozen; small ones are remembered."""

    def __missing__(self, token: str) -> Any:
        if token[0] in "123456789" and token.isdecimal():
            return int(token)
        value = _atom(token) if token[0] != "[" else parse(_TOKEN.findall(token), 0)[0]
        if len(self) < 10_000 and len(token) < 40:
            self[token] = value
        return value


_values = _Values()


def _quick_lines(
    text: str, start: int, wanted: frozenset[str], shapes: list[_Shape]
) -> tuple[list[dict[Any, Any]], int]:
    """The plain maps, one a line, from a position on, and where the first line begins that is no such map.

    ``shapes``: what maps have looked like so far.
    """
    found: list[dict[Any, Any]] = []
    end = len(text)
    value_of = _values.__getitem__
    while start < end:
        for shape in shapes:
            hit = shape.match(text, start)
            if hit is not None:
                break
        else:
            new = _shape_of(text, start, wanted) if len(shapes) < MOST_SHAPES else None
            if new is None:
                break
            shapes.append(new)
            continue
        found.append(dict(zip(shape.keys, map(value_of, hit.groups()), strict=True)))
        start = hit.end()
    return found, start


def _open_string(token: str) -> bool:
    """Whether this is a string token without its closing quote."""
    if token[0] != '"':
        return False
    return len(token) < 2 or token[-1] != '"' or (len(token) - 1 - len(token[:-1].rstrip("\\"))) % 2 == 1


_names: dict[str, str] = {}


def _name(token: Any) -> str:
    """``:compare-and-set`` -> ``cas``"""
    name = _names.get(token)
    if name is None:
        plain = str(token).removeprefix(":")
        name = _names[token] = ALIASES.get(plain, plain)
    return name


def _operations(found: Iterator[tuple[dict[Any, Any], int]]) -> Iterator[tuple[dict[Any, Any], int]]:
    """The maps that are operations, also those in a field of a map (``{:history […]}``), with keywords as names of fields."""
    for form, line in found:
        if ":type" in form:
            yield form, line
            continue
        operations = _nested(form)
        for operation in [form] if operations is None else operations:
            yield {name if name[:1] == ":" else f":{name}": value for name, value in _texts(operation)}, line


def _texts(form: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in form.items() if isinstance(name, str))


def _nested(form: dict[Any, Any]) -> list[dict[Any, Any]] | None:
    """The operations that a map holds in one of its fields, if it does."""
    for name, value in form.items():
        if not isinstance(value, tuple):
            continue
        if not value and name in (":history", "history"):
            return []
        try:
            maps = [dict(item) for item in value]  # frozen maps are tuples of pairs
        except (TypeError, ValueError):
            continue
        if maps and all(":type" in found or "type" in found for found in maps):
            return maps
    return None


def events(file: BinaryIO, path: Path | str, notes: list[str], key_field: str | None = None) -> Iterator[Event]:
    """The operations in an EDN history. ``key_field``: which field holds the key, if any."""
    key_token = f":{key_field}" if key_field else ":key"
    wanted = frozenset({":type", ":process", ":f", ":value", ":history", key_token})
    for place, (form, line) in enumerate(_operations(forms(file, path, notes, wanted))):
        process = form.get(":process")
        if not isinstance(process, int):
            if process is None and ":type" not in form:
                raise FormatError(path, line, f"operation {place}: a map without :type and :process")
            if process in NO_CLIENTS or (
                process is None and ":f" not in form and not is_transaction(form.get(":value"))
            ):
                continue
        value = _frozen(form.get(":value"))
        f = form.get(":f") or (":txn" if is_transaction(value) else None)
        if f is None or ":type" not in form:
            missing = ":f" if ":type" in form else ":type"
            raise FormatError(path, line, f"operation {place}: the map has no {missing}")
        yield Event(
            checked_type(_name(form[":type"]), path, line),
            process,
            _name(f),
            value,
            line,
            key=_frozen(form.get(key_token)),
        )
