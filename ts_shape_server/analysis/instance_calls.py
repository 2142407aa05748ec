"""Which call makes the object that a name holds, and with which arguments, where the text leaves no doubt.

Only arguments that are literals, or names that the file binds once to one. Everything else is None: a reader is then
told of the class. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from ts_shape_server.analysis.certainty import assigned, construction
from ts_shape_server.analysis.modules import dotted
from ts_shape_server.analysis.program import Program, Way, enclosing_class
from ts_shape_server.analysis.scopes import bound_by, parameters, stored
from ts_shape_server.analysis.signatures import Signature
from ts_shape_server.contract.asked import CallArguments


@dataclass(frozen=True)
class InstanceCall:
    """`line` and `column` (in bytes) are those of the class's name in the call, `class_name` is that name without what
    comes before it, as the file that defines the class has it. `text` is the call.
    """

    line: int
    column: int
    class_name: str
    text: str
    arguments: CallArguments


def instance_call(program: Program, imports: Mapping[str, str], name: str, line: int) -> InstanceCall | None:
    """The call whose object a name holds in a line."""
    way = _way_at(program, line)
    if way is None or enclosing_class(way) is not None or _is_bound_inside(way, name):
        return None
    made = _construction(program, name, way)
    path = None if made is None else dotted(made.func)
    site = next((each for each in program.calls if each.call is made), None)
    if made is None or path is None or site is None:
        return None
    first, *rest = path.split(".")
    given = _arguments(program, made, site.way)
    if given is None or _only_binder(program, first, site.way) is None:
        return None
    if first not in imports and (rest or first not in program.classes):
        return None
    last = ".".join([imports.get(first, first), *rest]).rsplit(".", 1)[-1]
    column = (made.func.end_col_offset or 0) - len(path.rsplit(".", 1)[-1].encode())
    return InstanceCall(made.func.end_lineno or made.lineno, column, last, ast.unparse(made), given)


def by_parameter(signature: Signature, given: CallArguments) -> dict[str, str] | None:
    """The arguments by the names of a constructor's parameters; None where it does not take them like this."""
    taken = [item for item in signature.parameters if item.kind in ("positional", "keyword")]
    places = [item for item in taken if item.kind == "positional"]
    if len(given.args) > len(places) or any(text.startswith("*") for text in given.args):
        return None
    found = {item.name: text for item, text in zip(places, given.args, strict=False)}
    for name, text in given.kwargs:
        if name in found or all(item.name != name for item in taken):
            return None
        found[name] = text
    return found if all(item.name in found or item.default is not None for item in taken) else None


def same_arguments(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether the arguments of two calls are the same literals, however they are written."""
    return _literals(one) == _literals(other) and all(_literals(one).values())


def _literals(given: Mapping[str, str]) -> dict[str, str]:
    return {name: _literal(text) for name, text in given.items()}


def _literal(text: str) -> str:
    """A literal as Python writes it; empty for anything else."""
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ""


def _way_at(program: Program, line: int) -> Way | None:
    """The way to the innermost statement in a line."""
    found: Way | None = None
    for way in program.ways:
        statement = way[-1].body[way[-1].index]
        inside = statement.lineno <= line <= (statement.end_lineno or statement.lineno)
        if inside and (found is None or len(way) >= len(found)):
            found = way
    return found


def _is_bound_inside(way: Way, name: str) -> bool:
    """Whether a lambda or a comprehension in a statement has a name of its own that is the same, or a loop or a
    ``with`` around it gives the name to something else.
    """
    owners = [step.owner for step in way]
    targets = [owner.target for owner in owners if isinstance(owner, (ast.For, ast.AsyncFor))]
    items = [item for owner in owners if isinstance(owner, (ast.With, ast.AsyncWith)) for item in owner.items]
    targets += [item.optional_vars for item in items if item.optional_vars is not None]
    if any(name in stored(target) for target in targets):
        return True
    for node in ast.walk(way[-1].body[way[-1].index]):
        if isinstance(node, ast.comprehension) and name in stored(node.target):
            return True
        if isinstance(node, ast.Lambda) and name in parameters(node.args):
            return True
    return False


def _only_binder(program: Program, name: str, way: Way) -> ast.stmt | None:
    """The statement of the module that alone binds a name as it is read in a way."""
    places = program.binders.get(name, ())
    if len(places) != 1 or program.stars or program.binder_of(name, way) is not None:
        return None
    shared = any(isinstance(node, ast.Global) and name in node.names for node in ast.walk(program.tree))
    return None if shared else program.module[places[0]]


def _construction(program: Program, name: str, way: Way) -> ast.Call | None:
    statement = way[-1].body[way[-1].index]
    if name not in bound_by(statement):
        return construction(program, ast.Name(name, ast.Load()), way)
    single = isinstance(statement, ast.Assign) and len(statement.targets) == 1
    target = statement.targets[0] if isinstance(statement, ast.Assign) and single else None
    target = statement.target if isinstance(statement, ast.AnnAssign) else target
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    if value is None or not isinstance(target, ast.Name):
        return None
    return assigned(program, name, value, way)


def _arguments(program: Program, call: ast.Call, way: Way) -> CallArguments | None:
    """The arguments of a call as literals."""
    args = [_as_literal(program, item, way) for item in call.args]
    kwargs = [(item.arg or "", _as_literal(program, item.value, way)) for item in call.keywords]
    if not all(args) or not all(name and text for name, text in kwargs):
        return None
    return CallArguments(tuple(args), tuple(kwargs))


def _as_literal(program: Program, node: ast.expr, way: Way) -> str:
    """The text of a literal, or of that which the module binds a name to once; empty for anything else."""
    if isinstance(node, ast.Name):
        statement = _only_binder(program, node.id, way)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        plain = len(targets) == 1 and isinstance(targets[0], ast.Name)
        if not isinstance(statement, ast.Assign) or not plain or node.id in program.changed:
            return ""
        node = statement.value
    text = ast.unparse(node)
    return text if _literal(text) else ""
