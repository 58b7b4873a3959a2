"""Planted bugs: what a mutant is, how one is found, how it is planted.

A mutant is a subclass of one class of the protocol code that overrides one rule method in about ten lines::

    from paxos_impl.acceptor import Acceptor
    from paxos_impl.mutants.registry import mutant

    @mutant("X1", "a promise is forgotten when it is given", rule="P1a", paper="Paxos Made Simple, 2.2",
            breaks="A", source="own", oracle="promise", seen_in="any world with kills")
    class PromiseNotKept(Acceptor):
        def log_promise(self, ballot):
            pass

Such a class may stand in a file of your own: ``--mutant FILE.py:X1``. A bug that needs two classes gives the second one
the same id. Two mutants are planted together as ``A01+P05``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import importlib
import importlib.util
import linecache
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from paxos_impl.mutants.source import OWN, text_of
from paxos_impl.parts import CORRECT, Parts

DEPLOYMENTS = ("collapsed", "classic")
MARKED = "__mutants__"
"""Name in a module for all classes that were marked in it, also those whose name another one took."""
FAMILIES = ("acceptor", "proposer", "learner", "election", "client", "storage", "transport", "snapshot")


class MutantError(ValueError):
    """A planted bug that cannot be found or planted; the text says what there is."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One planted bug. ``classes``: place in ``Parts`` -> class that takes it."""

    id: str
    about: str
    rule: str
    paper: str
    breaks: str
    """A agreement, V validity, I integrity or order, D durability, L linearizability, X exactly-once, P progress,
    R replicas diverge."""
    source: str
    oracle: str
    """The family of oracles expected to see it."""
    seen_in: str
    difficulty: str
    equivalent: str
    """Why it breaks nothing on its own; empty for a real bug."""
    deployments: tuple[str, ...]
    family: str
    classes: tuple[tuple[str, type], ...]

    @property
    def source_hash(self) -> str:
        """SHA-256 of its text (``source``): a plan that was made with another one would reproduce something else."""
        return _source_hash(tuple(class_ for _, class_ in self.classes))


@functools.cache
def _source_hash(classes: tuple[type, ...]) -> str:
    return hashlib.sha256(text_of(classes).encode()).hexdigest()


Class = TypeVar("Class", bound=type)


def mutant(
    id_: str,
    about: str,
    *,
    rule: str,
    breaks: str,
    source: str = "own",
    paper: str = "",
    oracle: str = "",
    seen_in: str = "simulated, lockstep, free",
    difficulty: str = "medium",
    equivalent: str = "",
    deployments: str | Sequence[str] = DEPLOYMENTS,
) -> Callable[[Class], Class]:
    """Mark a class as a planted bug. ``difficulty``: easy, medium, hard or deep, as measured."""
    places = (deployments,) if isinstance(deployments, str) else tuple(deployments)
    _must_be_sound(id_, places)

    def mark(class_: Class) -> Class:
        place = place_of(class_)
        _must_override(class_, place)
        made = Mutant(
            id_, about, rule, paper, breaks, source, oracle, seen_in, difficulty, equivalent, places,
            class_.__module__.rpartition(".")[2], ((place, class_),),
        )  # fmt: skip
        setattr(class_, "__mutant__", made)  # noqa: B010
        module = sys.modules.get(class_.__module__)
        if module is not None:
            vars(module).setdefault(MARKED, []).append(class_)
        return class_

    return mark


def _must_be_sound(id_: str, deployments: tuple[str, ...]) -> None:
    """What other text is made of, and what is matched word by word, is refused here and not missed later."""
    if not id_ or any(one in "+:," for one in id_):
        raise MutantError(f"the id {id_!r} is not one: write at least one character, and none of + : ,")
    if not deployments or not set(deployments) <= set(DEPLOYMENTS):
        raise MutantError(f"{id_}: deployments={deployments!r} is not made of {' and '.join(map(repr, DEPLOYMENTS))}")


def place_of(class_: type) -> str:
    """The place in ``Parts`` of the protocol class that ``class_`` derives from."""
    for field in dataclasses.fields(Parts):
        if issubclass(class_, getattr(CORRECT, field.name)):
            return field.name
    raise MutantError(f"{class_.__name__} derives from no class of Parts; a mutant is a subclass of one of them")


def _must_override(class_: type, place: str) -> None:
    """A class that overrides nothing is the correct code under another name: a misspelt rule, most likely."""
    base = getattr(CORRECT, place)
    own = [name for one in class_.__mro__[: class_.__mro__.index(base)] for name in vars(one) if name[:2] != "__"]
    if "__init__" in vars(class_) or any(hasattr(base, name) for name in own):
        return
    close = [near for name in own for near in difflib.get_close_matches(name, dir(base), 1)]
    hint = f"; did you mean {close[0]}?" if close else "; docs/mutants.md lists the rule methods"
    raise MutantError(
        f"{class_.__name__} overrides no method of {base.__name__} ({', '.join(own) or 'it is empty'}){hint}"
    )


def mutants_of(module: ModuleType) -> dict[str, Mutant]:
    """The planted bugs a module defines, by id, in the order of the file."""
    found: dict[str, Mutant] = {}
    kept = [value for value in vars(module).values() if isinstance(value, type)]
    for class_ in vars(module).get(MARKED, ()):
        if class_ not in kept and class_.__name__ in vars(module):
            lost, name = vars(class_)["__mutant__"].id, class_.__name__
            raise MutantError(f"{lost}: its class {name} is replaced by a later {name}; give each its own name")
    for class_ in vars(module).values():
        made = vars(class_).get("__mutant__") if isinstance(class_, type) else None
        if not isinstance(made, Mutant) or class_.__module__ != module.__name__:
            continue
        known = found.get(made.id)
        if known is not None and made.classes[0][0] in dict(known.classes):
            first = dict(known.classes)[made.classes[0][0]].__name__
            raise MutantError(f"two mutants have the id {made.id!r}: {first} and {class_.__name__}; give each its own")
        found[made.id] = made if known is None else dataclasses.replace(known, classes=known.classes + made.classes)
    return found


def all_mutants() -> dict[str, Mutant]:
    """Every planted bug of the project, by id."""
    found: dict[str, Mutant] = {}
    for family in FAMILIES:
        if importlib.util.find_spec(f"paxos_impl.mutants.{family}") is not None:
            found.update(mutants_of(importlib.import_module(f"paxos_impl.mutants.{family}")))
    return found


_carried: dict[str, str] = {}


def carry(path: str, text: str) -> None:
    """Let ``load_file`` find ``text`` under that path: a file of another machine that travelled here with a plan."""
    _carried[path] = text


@contextlib.contextmanager
def held(names: Iterable[str]) -> Iterator[None]:
    """Let the files that these names refer to stay what they are now: long work is not mixed up by who edits or removes one."""
    before = dict(_carried)
    for name in names:
        _carried.update(files_of(name))
    try:
        yield
    finally:
        _carried.clear()
        _carried.update(before)


def files_of(name: str) -> dict[str, str]:
    """Path and text of every file that a name like ``FILE.py:ID`` refers to: what must travel with a plan."""
    paths = [part.rpartition(":")[0] for part in name.split("+") if ":" in part]
    return {path: _text_of(Path(path)) for path in paths}


def load_file(path: Path) -> dict[str, Mutant]:
    """The planted bugs of a file outside the project; read again only if its text has changed."""
    text = _text_of(path)
    name = f"{OWN}{path.stem}_{hashlib.sha256(f'{path}{text}'.encode()).hexdigest()[:16]}"
    module = sys.modules.get(name) or _import_text(path, text, name)
    try:
        found = mutants_of(module)
    except MutantError as error:
        raise MutantError(f"{path}: {error}") from error
    if not found:
        raise MutantError(f"{path} defines no mutant; mark a class with @mutant(...) from paxos_impl.mutants.registry")
    return found


def _text_of(path: Path) -> str:
    carried = _carried.get(str(path))
    if carried is not None:
        return carried
    try:
        return path.read_text()
    except FileNotFoundError:
        reason = "no such file"
    except (OSError, UnicodeDecodeError) as error:
        reason = f"cannot be read ({error.strerror if isinstance(error, OSError) else error})"
    raise MutantError(f"{path}: {reason}; FILE.py:ID names a planted bug of a file of your own")


def _import_text(path: Path, text: str, name: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    # Where inspect looks for the source of a class: the module by its name, its text by its file.
    sys.modules[name] = module
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    try:
        exec(compile(text, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        where = f"{path}{_line_of(error, path)}"
        if isinstance(error, MutantError):
            raise MutantError(f"{where}: {error}") from error
        raise MutantError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _line_of(error: BaseException, path: Path) -> str:
    """Where in the file it was raised; nothing for what does not get so far, whose text tells the line itself."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def find(name: str, source_hash: str = "") -> list[Mutant]:
    """``A01``, ``A01+P05``, ``FILE.py:ID`` (also joined). A hash that does not fit is an error."""
    found = [_find_one(part) for part in name.split("+")]
    if source_hash and source_hash != hash_of(found):
        raise MutantError(
            f"the source of {name} is not the one the plan was made with; plant it anew with --mutant {name}"
        )
    return found


def _find_one(name: str) -> Mutant:
    path, colon, id_ = name.rpartition(":")
    known = load_file(Path(path)) if colon else all_mutants()
    if id_ in known:
        return known[id_]
    if colon:
        raise MutantError(f"no mutant {id_!r} in {path}; there are {', '.join(known)}")
    if id_.endswith(".py"):
        raise MutantError(f"{id_} names a file; say which of its planted bugs too: {id_}:ID")
    near = difflib.get_close_matches(id_.upper(), known, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise MutantError(
        f"no mutant {id_!r} in the registry; {hint}`torture list mutants` tells the {len(known)} there are"
    )


def hash_of(mutants: Iterable[Mutant]) -> str:
    hashes = [one.source_hash for one in mutants]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def plant(mutants: Iterable[Mutant], parts: Parts = CORRECT) -> Parts:
    """Put the mutants' classes in their places; two in one place are combined."""
    for one in mutants:
        for place, class_ in one.classes:
            present = getattr(parts, place)
            base = getattr(CORRECT, place)
            combined = (
                class_ if present is base else type(f"{class_.__name__}And{present.__name__}", (class_, present), {})
            )
            parts = dataclasses.replace(parts, **{place: combined})
    return parts
