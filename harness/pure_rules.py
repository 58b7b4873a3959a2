"""Which rules can be asked a second time without any effect, to tell whether a planted bug answered otherwise than they do.

Decided from the text, by a short list of what it may hold: only a method that reads, compares and returns is taken, and what it
calls must be as harmless. The bug's own method must be so too, and the only one it has, else nobody knows what it left where
the rule will read. What is not surely harmless is left out.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType
from typing import Any

HARMLESS = (
    ast.Return, ast.If, ast.Pass, ast.For, ast.Continue, ast.Break, ast.Assign, ast.AnnAssign, ast.BoolOp, ast.BinOp,
    ast.UnaryOp, ast.Compare, ast.IfExp, ast.NamedExpr, ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Tuple, ast.List, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension,
    ast.Call, ast.keyword, ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.expr_context,
)  # fmt: skip
BUILTINS = {
    "len",
    "max",
    "min",
    "sum",
    "any",
    "all",
    "sorted",
    "abs",
    "range",
    "isinstance",
    "bool",
    "int",
    "set",
    "tuple",
}
OF_MAPPINGS = {"get", "items", "keys", "values"}
"""Methods that only read. No class of the protocol code has one of such a name (a test looks)."""
ANSWERS = {"bool", "int", "int | None"}


@functools.cache
def pure_rule(class_: type, base: type) -> tuple[str, Callable[..., Any]] | None:
    """The method that the bug ``class_`` overrides, and the rule in its place. None unless that is all the bug does, and both
    are harmless and answer with a truth or a number."""
    own = {name: value for name, value in vars(class_).items() if name[:2] != "__" or isinstance(value, FunctionType)}
    if len(own) != 1 or class_.__bases__ != (base,) or type(class_) is not type(base):
        return None
    ((name, override),) = own.items()
    rule: Any = inspect.getattr_static(base, name, None)
    if not _is_pure(override, class_, base) or not _is_pure(rule, base, base):
        return None
    return (name, rule) if rule.__annotations__.get("return") in ANSWERS else None


def _is_pure(found: Any, class_: type, base: type, above: tuple[Any, ...] = ()) -> bool:
    """``class_``: where the methods of ``self`` are looked up; ``base``: those of ``super()``."""
    if found in above:
        return True
    body = _body_of(found)
    if not body:
        return False
    for part in (part for statement in body for part in ast.walk(statement)):
        if not isinstance(part, HARMLESS):
            return False
        if isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
            return False
        if isinstance(part, ast.Call) and not _is_harmless_call(part.func, found, class_, base, above):
            return False
    return True


def _body_of(found: Any) -> list[ast.stmt]:
    """The statements of a plain method, without its docstring; empty for whatever else it is."""
    if not isinstance(found, FunctionType):
        return []
    try:
        method = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    except (OSError, SyntaxError):
        return []
    if not isinstance(method, ast.FunctionDef) or method.decorator_list:
        return []
    return method.body[1:] if ast.get_docstring(method) is not None else method.body


def _is_harmless_call(called: ast.expr, found: FunctionType, class_: type, base: type, above: tuple[Any, ...]) -> bool:
    if isinstance(called, ast.Name):
        return called.id == "super" or (called.id in BUILTINS and called.id not in found.__globals__)
    if not isinstance(called, ast.Attribute):
        return False
    if called.attr in OF_MAPPINGS:
        return True
    of_super = isinstance(called.value, ast.Call) and ast.unparse(called.value) == "super()"
    if of_super or ast.unparse(called.value) == "self":
        method = inspect.getattr_static(base if of_super else class_, called.attr, None)
        return _is_pure(method, class_, base, (*above, found))
    return False
