"""What is certain of a call: that it is reached, and that the object it is of is as its construction made it.

A call that is wrong for certain is an error; of any other nothing is said. So whatever is not understood here counts as
a doubt. Knows no classes, only statements. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ts_shape_server.analysis.instances import moves_only
from ts_shape_server.analysis.program import Program, Step, Way, is_main_guard, segments
from ts_shape_server.analysis.scopes import FUNCTIONS, free_names, inner_blocks, last_part, own_nodes, parameters

_PLAIN_WITH = frozenset(
    {"no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "device", "autocast", "open", "profile"}
    | {"record_function", "detect_anomaly", "set_detect_anomaly", "redirect_stdout", "Progress", "tqdm"}
)
"""Contexts in which a call runs as it does outside of them."""
_EXPECTS = frozenset({"xfail", "skip", "skipif", "skipIf", "skipUnless", "expectedFailure"})
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_LEAVES_AS_IT_IS = frozenset(
    {"eval", "train", "cuda", "cpu", "forward", "parameters", "named_parameters", "buffers", "named_buffers", "modules"}
    | {"named_modules", "children", "named_children", "state_dict", "zero_grad", "requires_grad_", "extra_repr"}
)
_ONLY_READS = frozenset({"print", "len", "repr", "str", "type", "isinstance", "id", "sum", "list", "summary"})
_SETS_DTYPES = frozenset({"set_default_dtype", "set_default_tensor_type"})
_MODULES_OF_OUTSIDE = frozenset(
    (
        *("argparse", "jsonargparse", "configargparse", "simple_parsing", "pyrallis"),
        *("click", "hydra", "fire", "typer", "absl", "tyro", "docopt"),
    )
)
_READS_OUTSIDE = frozenset({"argv", "environ", "getenv", "stdin", "from_cli"})
_READS_ARGUMENTS = ("parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args")
"""Of the methods of parsers, the beginnings: there is a ``parse_args_into_dataclasses`` too."""


def is_reached(way: Way, node: ast.AST) -> bool:
    """Whether whoever runs the function (or module) around a call comes to it, whatever the values."""
    scopes = segments(way)
    for owner, inside in scopes:
        if isinstance(owner, FUNCTIONS) and any(_expects(item) for item in owner.decorator_list):
            return False
        if not all(_goes_on(step) for step in inside):
            return False
    statement = way[-1].body[way[-1].index]
    return _is_evaluated(statement, node)


def _goes_on(step: Step) -> bool:
    """Whether the block of a step runs to its place."""
    if any(isinstance(node, _ENDS) for statement in step.body[: step.index] for node in [statement]):
        return False
    owner = step.owner
    if isinstance(owner, (ast.Module, ast.ClassDef, *FUNCTIONS)):
        return True
    if isinstance(owner, ast.If):
        return is_main_guard(owner) and step.body is owner.body
    if isinstance(owner, (ast.With, ast.AsyncWith)):
        return all(_is_plain_context(item.context_expr) for item in owner.items)
    if isinstance(owner, (ast.For, ast.AsyncFor)):
        return step.body is owner.body
    return isinstance(owner, ast.While) and isinstance(owner.test, ast.Constant) and bool(owner.test.value)


def _is_plain_context(node: ast.expr) -> bool:
    return last_part(node.func if isinstance(node, ast.Call) else node) in _PLAIN_WITH


def _expects(decorator: ast.expr) -> bool:
    return any(last_part(node) in _EXPECTS for node in ast.walk(decorator) if isinstance(node, ast.expr))


def _is_evaluated(statement: ast.stmt, node: ast.AST) -> bool:
    """Whether an expression inside a statement is evaluated whenever the statement is."""

    def ways_to(current: ast.AST, sure: bool) -> Iterator[bool]:
        if current is node:
            yield sure
            return
        for name, value in ast.iter_fields(current):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from ways_to(child, sure and not _may_be_passed_over(current, name, child))

    return all(ways_to(statement, True))


def _may_be_passed_over(parent: ast.AST, field: str, child: ast.AST) -> bool:
    if isinstance(parent, ast.IfExp):
        return field != "test" and not (field == "body" and is_main_guard(parent))
    if isinstance(parent, ast.BoolOp):
        return child is not parent.values[0]
    if isinstance(parent, ast.Lambda):
        return True
    if isinstance(parent, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        return field != "generators" and any(item.ifs for item in parent.generators)
    return False


def is_of_known_values(way: Way, expressions: Iterable[ast.expr]) -> bool:
    """Whether no caller decides on the values of expressions: they stand among the module's own statements, or in a
    function that takes nothing, or nothing that they read.
    """
    read = {name for node in expressions for name in free_names(node)}
    for owner, _ in segments(way):
        if isinstance(owner, FUNCTIONS):
            taken = parameters(owner.args)
            if taken and (taken != ("self",) or "self" in read):
                return False
    return True


def asks_outside(setup: str) -> bool:
    """Whether a slice takes values from a command line, the environment or a person: others may be given."""
    try:
        tree = ast.parse(setup)
    except SyntaxError:
        return True
    return any(_is_of_outside(node) for node in ast.walk(tree))


def _is_of_outside(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(item.name.partition(".")[0] in _MODULES_OF_OUTSIDE for item in node.names)
    if isinstance(node, ast.ImportFrom):
        named = any(_reads_outside(item.name) for item in node.names)
        return named or (node.module or "").partition(".")[0] in _MODULES_OF_OUTSIDE
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "input"
    return isinstance(node, ast.Attribute) and _reads_outside(node.attr)


def _reads_outside(name: str) -> bool:
    return name in _READS_OUTSIDE or name.startswith(_READS_ARGUMENTS)


@lru_cache(maxsize=8)
def sets_dtypes(program: Program) -> bool:
    """Whether a file says what dtype new weights and tensors have: other files' objects are of it too."""
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Attribute) and node.attr in _SETS_DTYPES:
            return True
        if isinstance(node, ast.ImportFrom) and any(item.name in _SETS_DTYPES for item in node.names):
            return True
    return False


def construction(program: Program, target: ast.expr, way: Way) -> ast.Call | None:
    """The call that made an object, where nothing between the two may have changed it; None in doubt."""
    node = target
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _keeps(node):
        node = node.func.value
    if isinstance(node, ast.Call):
        return node
    if not isinstance(node, ast.Name):
        return None
    value = program.value_of(node.id, way)
    if value is None or value.function is not None or value.item is not None:
        return None
    home = segments(value.way)[-1][0]
    beside = segments(way)[-1][0]
    if home is not beside and not (isinstance(home, ast.Module) and _is_only_read(node.id, value.way)):
        return None
    return None if value.expression is None else assigned(program, node.id, value.expression, value.way)


def assigned(program: Program, name: str, made: ast.expr, way: Way) -> ast.Call | None:
    """The call that makes the object that an assignment at the end of a way gives to a name, where nothing may change
    that object; None in doubt.
    """
    if not _is_bound_once(program, name, way) or not is_reached(way, made) or not _is_left_alone(name, way):
        return None
    while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and _keeps(made):
        made = made.func.value
    return made if isinstance(made, ast.Call) else None


def _is_only_read(name: str, way: Way) -> bool:
    """Whether no function of the module says that a name of the module's is its own to set."""
    return not any(isinstance(node, ast.Global) and name in node.names for node in _nodes(_scope(way)))


def _keeps(call: ast.Call) -> bool:
    """Whether ``x.method(…)`` gives `x` as it is."""
    name = last_part(call.func)
    return name in ("eval", "train", "cuda", "cpu", "requires_grad_") or (name == "to" and moves_only(call))


def _scope(way: Way) -> list[ast.stmt]:
    """The statements of the scope that the way ends in."""
    return list(segments(way)[-1][1][0].body)


def _is_bound_once(program: Program, name: str, way: Way) -> bool:
    once = sum(name in program.bound(statement) for statement in _scope(way)) == 1
    return once and name not in _bound_from_inside(program.tree)


@lru_cache(maxsize=32)
def _bound_from_inside(tree: ast.Module) -> frozenset[str]:
    """The names that a function may bind outside of itself: by ``global``, by ``nonlocal``."""
    found = (node.names for node in ast.walk(tree) if isinstance(node, (ast.Global, ast.Nonlocal)))
    return frozenset(name for names in found for name in names)


def _is_left_alone(name: str, way: Way) -> bool:
    """Whether no statement of the scope may change the object that a name holds: all that it is used for is known."""
    allowed: set[int] = set()
    uses: list[ast.Name] = []
    for node in _nodes(_scope(way)):
        if isinstance(node, ast.Call):
            allowed.update(_harmless(node, name))
        elif isinstance(node, ast.Name) and node.id == name:
            uses.append(node)
    return all(isinstance(use.ctx, ast.Store) or id(use) in allowed for use in uses)


def _nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            yield from ast.walk(statement)
            continue
        yield from own_nodes(statement)
        for node in own_nodes(statement):
            if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
                yield from ast.walk(node)
            elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                for block in inner_blocks(node):
                    yield from _nodes(block)


def _harmless(call: ast.Call, name: str) -> Iterator[int]:
    """The uses of a name in a call that leave its object as it is."""
    function = call.func
    if isinstance(function, ast.Name) and function.id == name:
        yield id(function)
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == name:
        known = function.attr in _LEAVES_AS_IT_IS or (function.attr == "to" and moves_only(call))
        if known:
            yield id(function.value)
    if last_part(function) in _ONLY_READS:
        yield from (id(item) for item in call.args if isinstance(item, ast.Name) and item.id == name)


def replaces_parts(program: Program, target: ast.expr, way: Way) -> bool:
    """Whether a part of the object is replaced after it was made: what it then takes says nothing of its class."""
    node = target
    while isinstance(node, (ast.Call, ast.Attribute)):
        node = node.func if isinstance(node, ast.Call) else node.value
    if not isinstance(node, ast.Name) or node.id == "self":
        return False
    body = _scope(way)
    known = program.replaced.get(id(body[0]))
    if known is None:
        known = program.replaced[id(body[0])] = frozenset(name for item in _nodes(body) for name in _replaced(item))
    return node.id in known


def _replaced(node: ast.AST) -> Iterator[str]:
    """The names whose objects get another part: ``name.fc = Linear()``, ``setattr(name, …)``, ``name.add_module()``."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        yield from (_root(item) for item in node.targets if isinstance(item, (ast.Attribute, ast.Subscript)))
    elif isinstance(node, ast.Call):
        registers = last_part(node.func) in ("add_module", "register_module", "append", "insert", "extend")
        if last_part(node.func) == "setattr" and node.args:
            yield _root(node.args[0])
        elif registers and isinstance(node.func, ast.Attribute):
            yield _root(node.func.value)


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
