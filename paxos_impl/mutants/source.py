"""The text of a planted bug, of which the hash is taken: what must be the same for a plan or a measurement to mean the same.

That of a bug of the project is the text of its classes. One of a file of one's own may rest on more of its file: helpers,
constants, a class between, statements that change others. What is imported is not looked at.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys

OWN = "planted_"
"""How the name of a module begins that was read from a file outside the project."""


def text_of(classes: tuple[type, ...]) -> str:
    """All that the bug of these classes rests on."""
    texts = [inspect.getsource(class_) for class_ in classes]
    if classes[0].__module__.startswith(OWN):
        texts += _rest_of(classes)
    return "\n".join(texts)


def _rest_of(classes: tuple[type, ...]) -> list[str]:
    """The statements of their file that the classes need, in order: what they name, what that names, and so on; and all that
    give nothing a name, for those are there for what they do."""
    module = sys.modules[classes[0].__module__]
    lines = linecache.getlines(str(module.__file__))
    statements = [one for one in ast.parse("".join(lines)).body if not _says_nothing(one)]
    names = {name for name, value in vars(module).items() if value in classes}
    own = [one for one in statements if isinstance(one, ast.ClassDef) and one.name in names]
    needed: list[ast.stmt] = []
    more = [one for one in statements if not _bound(one)]
    while more or not needed:
        needed += more
        names = names.union(*map(_used, more))
        more = [one for one in statements if one not in needed and names & _bound(one)]
    return [
        "".join(lines[_first_line(one) - 1 : one.end_lineno]) for one in statements if one in needed and one not in own
    ]


def _says_nothing(one: ast.stmt) -> bool:
    docstring = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
    return docstring or isinstance(one, ast.Import | ast.ImportFrom)


def _bound(one: ast.stmt) -> set[str]:
    """The names that a definition or an assignment gives."""
    if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {one.name}
    if not isinstance(one, ast.Assign | ast.AnnAssign):
        return set()
    return {part.id for part in ast.walk(one) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def _used(one: ast.stmt) -> set[str]:
    return {part.id for part in ast.walk(one) if isinstance(part, ast.Name)}


def _first_line(one: ast.stmt) -> int:
    decorators = one.decorator_list if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
    return min([one.lineno, *(decorator.lineno for decorator in decorators)])
