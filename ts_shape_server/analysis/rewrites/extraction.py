"""The last resort: statements that TorchScript cannot take move into a method or function that Python runs.

What goes in and comes out must have types that TorchScript holds, as the run saw them; where it has not, the stretch
grows until it has. What did not run stays where it is: another setting or another call may need it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.rewrites.situation import (
    LEAVES,
    Definition,
    Place,
    Rewrite,
    Situation,
    holdable,
    joined,
)
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation

CANNOT_BE_SAVED = "which runs here and cannot be saved"
"""What `ignore` costs: `torch.jit.save` refuses a module that leaves a function to Python."""
_LARGEST_PART = 0.8
"""Of the lines of a `forward`: a module of which nothing is compiled is not a script."""


@dataclass(frozen=True)
class Stretch:
    """Statements that follow each other in one block."""

    block: list[ast.stmt]
    start: int
    end: int

    @property
    def statements(self) -> list[ast.stmt]:
        return self.block[self.start : self.end]


def extract(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The smallest stretch around the refusal that can move."""
    function = place.function
    if isinstance(function, ast.AsyncFunctionDef) or place.statement is function or _is_left_out(place):
        return
    if not isinstance(situation.parents.get(function), (ast.Module, ast.ClassDef)):
        return
    if place.says("for-argument") is not None and _calls_python(situation, place.statement):
        return
    found = _movable(situation, place)
    if found is not None:
        moved = _moved(situation, function, *found)
        if moved is not None:
            yield moved


def extract_call(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The call alone, where the statements around it cannot move."""
    function, owner = place.function, situation.owner(place.function)
    call = _call_around(situation, place.node)
    if call is None or function.decorator_list or isinstance(function, ast.AsyncFunctionDef):
        return
    if not isinstance(situation.parents.get(function), (ast.Module, ast.ClassDef)) or "\n" in situation.text(call):
        return
    if _calls_python(situation, place.statement) or _is_within_lambda(situation, call):
        return
    inside = set(ast.walk(call))
    bound, _ = _bound_outside(function, inside)
    names = {node.id for node in inside if isinstance(node, ast.Name)} & bound - {"self"}
    kinds = {name: _kind(situation, function, name, inside) for name in sorted(names)}
    result = situation.type_of(call)
    if not holdable(result) or not all(map(holdable, kinds.values())):
        return
    name = _name_of_part(situation, function, "_python_part")
    speller = situation.spelling()
    own = ["self"] if owner is not None else []
    parameters = [*own, *(f"{item}: {speller.of(kind or '')}" for item, kind in kinds.items())]
    indent = situation.indent(function)
    step = situation.indent(function.body[0])[len(indent) :] or "    "
    lines = [
        indent + _decorator(situation),
        f"{indent}def {name}({', '.join(parameters)}) -> {speller.of(result or '')}:",
        f"{indent}{step}return {situation.text(call)}",
    ]
    edits = [
        situation.above(function, lines),
        situation.replace(call, f"{'self.' if own else ''}{name}({', '.join(kinds)})"),
        *speller.imports(),
        *situation.torch_import(),
    ]
    title = f"Leave `{situation.text(call)}` to Python in a `@torch.jit.ignore` function `{name}`, {CANNOT_BE_SAVED}"
    yield Rewrite("ignored-call", title, tuple(edits), LEAVES)


def _call_around(situation: Situation, node: ast.AST) -> ast.Call | None:
    """The call that a marked node is, or is the function of."""
    current: ast.AST | None = node
    while isinstance(current, (ast.Attribute, ast.Name)):
        current = situation.parents.get(current)
    return current if isinstance(current, ast.Call) else None


def _is_within_lambda(situation: Situation, node: ast.AST) -> bool:
    current: ast.AST | None = node
    while current is not None and not isinstance(current, ast.stmt):
        if isinstance(current, ast.Lambda):
            return True
        current = situation.parents.get(current)
    return False


def _is_left_out(place: Place) -> bool:
    """Whether the class scripts, and the place is only of what the script leaves out."""
    return place.failure.code == "script-trap" and not place.failure.computes_otherwise


def _calls_python(situation: Situation, statement: ast.stmt) -> bool:
    """Whether a statement calls a function that is left to Python already: to move the call again changes nothing."""
    left = {
        function.name
        for function in situation.functions
        if any(re.search(r"\bjit\.(ignore|unused)\b", ast.unparse(item)) for item in function.decorator_list)
    }
    called = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return any((node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) in left for node in called)


def ignore_whole(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """Leave a whole method or function other than the class's own `forward` to Python."""
    function = place.function
    above = situation.parents.get(function)
    if not isinstance(above, (ast.Module, ast.ClassDef)) or function.decorator_list or _is_left_out(place):
        return
    if situation.is_entry(function):
        return
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    if function.args.vararg or function.args.kwarg or function.args.posonlyargs:
        return
    names = [item.arg for item in arguments][1 if isinstance(above, ast.ClassDef) else 0 :]
    owner = situation.qualified(above) if isinstance(above, ast.ClassDef) else ""
    kinds = {name: situation.arrived(function, name) or "" for name in [*names, "return"]}
    if not isinstance(above, ast.ClassDef):
        kinds = {name: _kind_of_parameter(situation, function, name) or "" for name in kinds}
    if not all(kinds.values()):
        return
    written = [Annotation(owner, function.name, name, kind, True) for name, kind in kinds.items()]
    edits = situation.annotated(written)
    decorator = _decorator(situation)
    yield Rewrite(
        "ignored-method",
        f"Leave `{function.name}` to Python with `@torch.jit.ignore`, {CANNOT_BE_SAVED}",
        (*edits, situation.before(function, decorator), *situation.torch_import()),
        LEAVES,
    )


def _kind_of_parameter(situation: Situation, function: Definition, name: str) -> str | None:
    if name == "return":
        kinds = {
            situation.type_of(node.value)
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        } - {None}
        kind = joined({item for item in kinds if item is not None}) if kinds else None
    else:
        kind = situation.type_of_name(function, name)
    return kind if holdable(kind) else None


def _movable(situation: Situation, place: Place) -> tuple[Stretch, dict[str, str], dict[str, str]] | None:
    """The first stretch, growing, whose values have types."""
    statement: ast.stmt | None = place.statement
    while statement is not None and not isinstance(statement, FUNCTIONS):
        block = situation.block_of(statement)
        if block is None:
            statement = _above(situation, statement)
            continue
        at = block.index(statement)
        for stretch in _growing(block, at):
            if not _complete(situation, stretch) or _too_large(situation, place.function, stretch):
                continue
            inputs, outputs = _flow(situation, place.function, stretch)
            if all(map(holdable, inputs.values())) and all(map(holdable, outputs.values())):
                return stretch, inputs, outputs  # type: ignore[return-value]
        statement = _above(situation, statement)
    return None


def _above(situation: Situation, node: ast.stmt) -> ast.stmt | None:
    above = situation.parents.get(node)
    while above is not None and not isinstance(above, ast.stmt):
        above = situation.parents.get(above)
    return above


def _growing(block: list[ast.stmt], at: int) -> Iterator[Stretch]:
    """Stretches around a statement, by size."""
    sizes = range(1, min(len(block), 12) + 1)
    for size in sizes:
        for start in range(max(0, at - size + 1), min(at, len(block) - size) + 1):
            yield Stretch(block, start, start + size)


def _complete(situation: Situation, stretch: Stretch) -> bool:
    """Whether a stretch can be a function's body: no way out of it but at its end."""
    last = stretch.statements[-1]
    ends = isinstance(last, ast.Return)
    for statement in stretch.statements:
        if not situation.alone(statement) or has_long_strings(statement):
            return False
        for node in ast.walk(statement):
            if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await, ast.Global, ast.Nonlocal)):
                return False
            if isinstance(node, ast.Return) and not ends:
                return False
            if isinstance(node, (ast.Break, ast.Continue)) and not _loops_inside(situation, node, statement):
                return False
    return True


def _loops_inside(situation: Situation, node: ast.AST, statement: ast.stmt) -> bool:
    current: ast.AST | None = node
    while current is not None:
        if isinstance(current, (ast.For, ast.While)):
            return True
        if current is statement:
            return False
        current = situation.parents.get(current)
    return False


def has_long_strings(statement: ast.stmt) -> bool:
    """Whether a string goes over lines: moving it to another depth would change it."""
    return any(
        isinstance(node, (ast.Constant, ast.JoinedStr)) and node.lineno != node.end_lineno
        for node in ast.walk(statement)
    )


def _too_large(situation: Situation, function: Definition, stretch: Stretch) -> bool:
    if not situation.is_entry(function):
        return False
    lines = (stretch.statements[-1].end_lineno or 0) - stretch.statements[0].lineno + 1
    body = [item for item in function.body if not _is_text(item)]
    whole = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
    return lines >= whole or (lines > 2 and lines > _LARGEST_PART * whole)


def _is_text(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)


def _flow(
    situation: Situation, function: Definition, stretch: Stretch
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """What goes in and what comes out, with types (None: unknown); ``return`` for a result of the function."""
    inside = {node for statement in stretch.statements for node in ast.walk(statement)}
    names = sorted(
        (node for node in inside if isinstance(node, ast.Name)), key=lambda item: (item.lineno, item.col_offset)
    )
    before, after = _bound_outside(function, inside)
    inputs: dict[str, str | None] = {}
    first: dict[str, bool] = {}
    for node in _in_order(stretch):
        first.setdefault(node.id, isinstance(node.ctx, ast.Load))
    for node in names:
        if node.id == "self" or node.id not in before or node.id in inputs:
            continue
        conditional = not first[node.id] and _is_conditional(stretch, node.id)
        if first[node.id] or conditional:
            inputs[node.id] = _kind(situation, function, node.id, inside)
    stored = [node.id for node in names if isinstance(node.ctx, ast.Store)]
    outputs: dict[str, str | None] = {}
    if isinstance(stretch.statements[-1], ast.Return):
        outputs["return"] = situation.arrived(function, "return") or _kind_of_parameter(situation, function, "return")
        return inputs, outputs
    in_loop = _in_loop(situation, function, stretch)
    for name in dict.fromkeys(stored):
        if name in after or (in_loop and name in before):
            outputs[name] = situation.type_of_name(function, name)
    return inputs, outputs


def _in_order(stretch: Stretch) -> Iterator[ast.Name]:
    """The names of a stretch in the order in which they are evaluated: the value before the target."""
    for statement in stretch.statements:
        yield from _evaluated(statement)


def _evaluated(node: ast.AST) -> Iterator[ast.Name]:
    if isinstance(node, ast.Name):
        yield node
        return
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        if node.value is not None:
            yield from _evaluated(node.value)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from _evaluated(target)
        return
    if isinstance(node, ast.AugAssign):
        for item in ast.walk(node.target):
            if isinstance(item, ast.Name):
                yield ast.Name(item.id, ast.Load())
        yield from _evaluated(node.value)
        return
    if isinstance(node, (ast.For, ast.comprehension)):
        yield from _evaluated(node.iter)
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        for generator in node.generators:
            yield from _evaluated(generator)
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, (ast.For, ast.comprehension)) and child is node.iter):
            yield from _evaluated(child)


def _is_conditional(stretch: Stretch, name: str) -> bool:
    """Whether a name keeps the value that it had before on some way through a stretch."""
    for statement in stretch.statements:
        if isinstance(statement, (ast.If, ast.For, ast.While, ast.Try)):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                return False
    return True


def _bound_outside(function: Definition, inside: set[ast.AST]) -> tuple[set[str], set[str]]:
    """The local names that are bound outside of some nodes, and those that are read outside after them."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    bound = {item.arg for item in [*plain, arguments.vararg, arguments.kwarg] if item is not None}
    last = max((getattr(node, "end_lineno", None) or 0) for node in inside)
    read: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node not in inside:
            if isinstance(node.ctx, ast.Load):
                read |= {node.id} if node.lineno > last else set()
            else:
                bound.add(node.id)
    return bound, read


def _in_loop(situation: Situation, function: Definition, stretch: Stretch) -> bool:
    current: ast.AST | None = stretch.statements[0]
    while current is not None and current is not function:
        current = situation.parents.get(current)
        if isinstance(current, (ast.For, ast.While)):
            return True
    return False


def _kind(situation: Situation, function: Definition, name: str, inside: set[ast.AST]) -> str | None:
    """The type of a name in a stretch; where nothing of it ran, in the whole function."""
    kinds = {
        situation.type_of(node)
        for node in inside
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    } - {None}
    if kinds:
        return joined({kind for kind in kinds if kind is not None})
    return situation.type_of_name(function, name) or situation.arrived(function, name)


def _moved(
    situation: Situation, function: Definition, stretch: Stretch, inputs: dict[str, str], outputs: dict[str, str]
) -> Rewrite | None:
    owner = situation.owner(function)
    method = owner is not None and not function.decorator_list
    if owner is not None and not method:
        return None
    if situation.block_is_idle(stretch.block) or situation.idle(stretch.statements[0]):
        return None
    wanted = f"_{function.name.strip('_')}_part" if function.name != "forward" else "_python_part"
    name = _name_of_part(situation, function, wanted)
    speller = situation.spelling()
    parameters = [f"{item}: {speller.of(kind)}" for item, kind in inputs.items()]
    kinds = list(outputs.values())
    result = "None" if not kinds else kinds[0] if len(kinds) == 1 else f"Tuple[{', '.join(kinds)}]"
    head = f"def {name}({', '.join([*(['self'] if method else []), *parameters])}) -> {speller.of(result)}:"
    call = f"{'self.' if method else ''}{name}({', '.join(inputs)})"
    names = [item for item in outputs if item != "return"]
    if "return" in outputs:
        call = f"return {call}"
    elif names:
        call = f"{', '.join(names)} = {call}"
    edits = [
        _insertion(situation, function, [_decorator(situation), head], stretch, names),
        TextEdit(_extent(situation, stretch), call),
        *speller.imports(),
        *situation.torch_import(),
    ]
    lines = {stretch.statements[0].lineno, stretch.statements[-1].end_lineno or 0}
    where = f"line {min(lines)}" if len(lines) == 1 else f"lines {min(lines)} to {max(lines)}"
    title = f"Move {where} into a `@torch.jit.ignore` function `{name}`, {CANNOT_BE_SAVED}"
    return Rewrite("ignored-statements", title, tuple(edits), LEAVES)


def _name_of_part(situation: Situation, function: Definition, wanted: str) -> str:
    """`wanted`, numbered if the class of a method, or the file of a function, has that name already."""
    owner = situation.owner(function)
    return situation.free_name(wanted) if owner is None else situation.free_attribute(wanted, owner)


def _extent(situation: Situation, stretch: Stretch) -> Range:
    """From the first statement to the end of the last one's line: a comment there moves along."""
    first, last = situation.range_of(stretch.statements[0]), situation.range_of(stretch.statements[-1])
    return Range(first.line, first.column, last.end_line, len(situation.source.line(last.end_line)))


def _insertion(
    situation: Situation, function: Definition, heads: list[str], stretch: Stretch, names: list[str]
) -> TextEdit:
    """The new function, above the one that its body comes from."""
    source = situation.source
    outer = situation.indent(function)
    step = situation.indent(function.body[0])[len(outer) :] or "    "
    inner = outer + step
    span = _extent(situation, stretch)
    old = situation.indent(stretch.statements[0])
    body = []
    for number in range(span.line, span.end_line + 1):
        line = source.line(number)
        body.append(inner + line[len(old) :] if line.startswith(old) else line)
    if names:
        body.append(f"{inner}return {', '.join(names)}")
    return situation.above(function, [*(outer + head for head in heads), *body])


def _decorator(situation: Situation) -> str:
    return f"@{situation.torch_name()}.jit.ignore"
