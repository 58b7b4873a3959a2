"""Jepsen's ``history.edn``: one map a line, or all maps in a vector or list. Streamed in pieces of a megabyte.

Understood: maps, vectors, lists, sets, strings, numbers (also ``1/2``, ``12N``, ``1.5M``, ``##Inf``), ``nil``, ``true``,
``false``, keywords, symbols, characters, comments, discarded forms (``#_``) and tags (``#jepsen.history.Op{…}``: the tag is
dropped). Keywords keep their colon, so that ``:a`` and ``"a"`` differ. Operations of the nemesis are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from harness.checkers.formats.events import ALIASES, Event, FormatError, checked_type, frozen

PIECE = 1 << 20
_TOKEN = re.compile(r'#\{|#_|[{}\[\]()]|"(?:[^"\\]|\\.)*"?|;[^\n]*|\\.[^\s,{}\[\]()";]*|[^\s,{}\[\]()";\\]+', re.DOTALL)
_CLOSERS = {"{": "}", "[": "]", "(": ")", "#{": "}"}
_NESTED = frozenset("{[(") | {"#{", "#_"}
_NUMBER = re.compile(r"[+-]?\d+N?$")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "b": "\b", "f": "\f"}


class _Incomplete(Exception):
    """The form goes on in the next piece."""


class _Bad(Exception):
    """Something that is no EDN, at a token."""

    def __init__(self, token: int, what: str) -> None:
        super().__init__(what)
        self.token = token


_atoms: dict[str, Any] = {"nil": None, "true": True, "false": False}


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
        try:
            return int(token)
        except ValueError:
            value = _other_number(token)
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
    """Big integers (``12N``), ratios, floats and decimals (``1.5M``); anything else is a symbol."""
    if _NUMBER.match(token):
        return int(token.rstrip("N"))
    try:
        if "/" in token:
            return Fraction(token)
        return float(token.rstrip("M"))
    except (ValueError, ZeroDivisionError):
        return token


def parse(tokens: list[str], at: int) -> tuple[Any, int]:
    """The form that begins at a token, and where the next begins. Raises _Incomplete or _Bad."""
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
            items.append(item)
        if token == "{":
            if len(items) % 2:
                raise _Bad(at, "a map with an odd number of forms")
            return dict(zip((_hashable(key) for key in items[0::2]), items[1::2], strict=True)), at + 1
        return (frozenset(map(_hashable, items)) if token == "#{" else items), at + 1
    if token in ("}", "]", ")"):
        raise _Bad(at, f"a {token!r} that closes nothing")
    if token == "#_":
        _, at = parse(tokens, at + 1)
        return parse(tokens, at)
    if token[0] == "#" and token != "#" and token not in _SPECIAL:
        return parse(tokens, at + 1)  # a tag
    return _atom(token), at + 1


def read_value(text: str) -> Any:
    """The one form in a text; a text that is not just one form stands for itself."""
    tokens = _TOKEN.findall(text)
    try:
        value, end = parse(tokens, 0)
    except (_Bad, _Incomplete):
        return text
    return value if end == len(tokens) else text


def _hashable(value: Any) -> Any:
    return frozen(value)


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
        if token in _NESTED or token[0] == "#" or key in _NESTED or key[0] == "#":
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
    """Every map at the top (or in a vector or list there), with the number of the line its piece begins at.

    A form that is torn at the end of the file is told in ``notes`` and left out. Raises FormatError.
    """
    left: list[str] = []
    carry = b""
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
        if not left and not _ODD.search(text):
            quick, text = _quick_lines(text, wanted)
            for found in quick:
                yield found, line
                line += 1
        tokens = _TOKEN.findall(text)
        if ";" in text:
            tokens = [token for token in tokens if token[0] != ";"]
        if tokens and data and tokens[-1][0] == '"' and not _closed(tokens[-1]):
            open_string = tokens.pop().encode()
            carry = open_string + carry
        tokens = left + tokens
        before = len(left)
        at = 0
        try:
            while at < len(tokens):
                token = tokens[at]
                if token == "{":
                    found, after = _flat_map(tokens, at, wanted)
                    yield found, line
                    at = after
                elif token in "[]()," or (token[0] == "#" and token not in ("#{", "#_")):
                    at += 1
                elif token == "#_":
                    _, at = parse(tokens, at + 1)
                else:
                    raise _Bad(
                        at, f"expected a map such as {{:type :invoke, :process 0, :f :read, :value nil}}, found {token}"
                    )
        except _Incomplete:
            left = tokens[at:]
        except _Bad as bad:
            raise FormatError(path, _line_of(text, bad.token - before, line), str(bad)) from None
        else:
            left = []
        line += text.count("\n")
        if not data:
            if left:
                notes.append(f"line {line}: the last operation is torn and left out")
            return


_ODD = re.compile(r'["#;\\()]')
"""What only the full reader understands."""


def _quick_lines(text: str, wanted: frozenset[str]) -> tuple[list[dict[Any, Any]], str]:
    """The plain maps, one a line, at the beginning of a piece, and the text from the first line that is no such map.

    Only for text without strings, tags and comments: there the wanted fields of a map can be picked by pattern.
    """
    pick = re.compile(rf"[{{\s,]({'|'.join(map(re.escape, wanted))})\s+(\[[^\[\]]*\]|[^\s,{{}}\[\]]+)").findall
    found: list[dict[Any, Any]] = []
    start = 0
    while True:
        end = text.find("\n", start)
        if end < 0:
            return found, text[start:]
        line = text[start:end]
        if line[:1] != "{" or line[-1:] != "}" or line.count("{") > 1:
            return found, text[start:]
        vectors = line.count("[")
        if vectors > 1 or (vectors and ":value [" not in line):
            return found, text[start:]
        form: dict[Any, Any] = {}
        for key, token in pick(line):
            if token in _atoms:
                form[key] = _atoms[token]
            elif token[0] == "[":
                form[key] = [_atom(item) for item in token[1:-1].replace(",", " ").split()]
            else:
                form[key] = _atom(token)
        if len(form) < 4 or form.get(":type") not in _TYPES:
            return found, text[start:]
        found.append(form)
        start = end + 1


_TYPES = frozenset({":invoke", ":ok", ":fail", ":info"})


def _closed(token: str) -> bool:
    """Whether a string token has its closing quote."""
    return len(token) > 1 and token[-1] == '"' and (len(token) - 1 - len(token[:-1].rstrip("\\"))) % 2 == 0


def _line_of(text: str, wanted: int, line: int) -> int:
    """The line of the n-th token (comments not counted) of a text that begins at ``line``."""
    number = -1
    for found in _TOKEN.finditer(text):
        if found[0][0] != ";":
            number += 1
            if number >= wanted:
                return line + text.count("\n", 0, found.start())
    return line


_NO_CLIENTS = frozenset({None, ":nemesis", "nemesis"})
_names: dict[str, str] = {}


def _name(token: Any) -> str:
    """``:compare-and-set`` -> ``cas``"""
    name = _names.get(token)
    if name is None:
        plain = str(token).removeprefix(":")
        name = _names[token] = ALIASES.get(plain, plain)
    return name


def events(file: BinaryIO, path: Path | str, notes: list[str], key_field: str | None = None) -> Iterator[Event]:
    """The operations of clients in an EDN history. ``key_field``: which field holds the key, if any."""
    key_token = f":{key_field}" if key_field else ":key"
    wanted = frozenset({":type", ":process", ":f", ":value", key_token})
    for place, (form, line) in enumerate(forms(file, path, notes, wanted)):
        process = form.get(":process")
        if not isinstance(process, int):
            if process is None and ":type" not in form:
                raise FormatError(path, line, f"operation {place}: a map without :type and :process")
            if process in _NO_CLIENTS:
                continue
        try:
            type_, f = form[":type"], form[":f"]
        except KeyError as missing:
            raise FormatError(path, line, f"operation {place}: the map has no {missing.args[0]}") from None
        yield Event(
            checked_type(_name(type_), path, line),
            process,
            _name(f),
            frozen(form.get(":value")),
            line,
            key=frozen(form.get(key_token)),
        )
