"""Comprehensions with a condition, which TorchScript does not have: they are written out as the loops that they are.

Only a comprehension that is evaluated first in its statement moves in front of it, so that nothing is evaluated in
another order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation, holdable
from ts_shape_server.contract.places import TextEdit


def written_out(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``ys = [f(x) for x in xs if x.dim() > 1]`` as a loop that appends."""
    node = place.node if isinstance(place.node, ast.ListComp) else next(iter(_comprehensions(place.statement)), None)
    if node is None:
        return
    generator = node.generators[0]
    names = own_names(situation, place, node)
    tests = [situation.text_with(item, names) for item in generator.ifs]
    test = tests[0] if len(tests) == 1 else " and ".join(f"({item})" for item in tests)
    head = f"{situation.text_with(generator.target, names)} in {situation.text(generator.iter)}"
    edits = as_loop(situation, place, node, head, test)
    if edits is not None:
        yield Rewrite("comprehension-as-loop", "Write the comprehension out as a loop", tuple(edits))


def as_loop(
    situation: Situation, place: Place, node: ast.ListComp, head: str, test: str, first: tuple[str, ...] = ()
) -> list[TextEdit] | None:
    """A comprehension as a loop in front of its statement, or in its place: ``for HEAD: if TEST: FIRST…, append``.

    None where something else would be evaluated in another order, or its type is unknown.
    """
    statement = place.statement
    kind = situation.type_of(node)
    if not isinstance(statement, (ast.Assign, ast.Return, ast.Expr, ast.AugAssign, ast.AnnAssign)):
        return None
    if not situation.alone(statement) or not holdable(kind) or not _comes_first(situation, node, statement):
        return None
    (generator, *more) = node.generators
    if more or generator.is_async or node.lineno != node.end_lineno:
        return None
    plain = isinstance(statement, ast.Assign) and statement.value is node and len(statement.targets) == 1
    target = statement.targets[0] if isinstance(statement, ast.Assign) and plain else None
    whole = isinstance(target, ast.Name) and target.id not in {
        item.id for item in ast.walk(node) if isinstance(item, ast.Name)
    }
    name = target.id if isinstance(target, ast.Name) and whole else situation.free_name("items", place.function)
    speller = situation.spelling()
    step = situation.indent(place.function.body[0])[len(situation.indent(place.function)) :] or "    "
    typed = "" if whole and _is_typed(place, name) else f": {speller.of(kind or '')}"
    item = situation.text_with(node.elt, own_names(situation, place, node))
    lines = [
        f"{name}{typed} = []",
        f"for {head}:",
        f"{step}if {test}:",
        *(step + step + line for line in first),
        f"{step}{step}{name}.append({item})",
    ]
    if whole:
        joined = (situation.source.newline + situation.indent(statement)).join(lines)
        return [situation.replace(statement, joined), *speller.imports()]
    return [situation.before(statement, "\n".join(lines)), situation.replace(node, name), *speller.imports()]


def own_names(situation: Situation, place: Place, node: ast.ListComp) -> dict[str, str]:
    """Other names for those of the comprehension that the function has too."""
    return {item: situation.free_name(item, place.function) for item in _hidden(place, node)}


def _comprehensions(statement: ast.stmt) -> Iterator[ast.ListComp]:
    for node in ast.walk(statement):
        if isinstance(node, ast.ListComp) and any(item.ifs for item in node.generators):
            yield node


def _comes_first(situation: Situation, node: ast.ListComp, statement: ast.stmt) -> bool:
    """Whether nothing but names is evaluated before a comprehension, and always the comprehension."""
    current: ast.AST = node
    while current is not statement:
        above = situation.parents[current]
        if isinstance(above, (ast.IfExp, ast.BoolOp, ast.Lambda, ast.comprehension, ast.ListComp, ast.GeneratorExp)):
            return False
        start = getattr(current, "lineno", 0), getattr(current, "col_offset", 0)
        for other in ast.iter_child_nodes(above):
            place = getattr(other, "lineno", None), getattr(other, "col_offset", None)
            before = place[0] is not None and (place[0], place[1] or 0) < start
            target = isinstance(above, (ast.Assign, ast.AnnAssign)) and getattr(other, "ctx", None) is not None
            if before and not (target and isinstance(getattr(other, "ctx", None), ast.Store)) and not _is_name(other):
                return False
        current = above
    return True


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_name(node.value))


def _hidden(place: Place, node: ast.ListComp) -> set[str]:
    """The names of the loop that would hide one of the function."""
    own = {item.id for item in ast.walk(node.generators[0].target) if isinstance(item, ast.Name)}
    inside: set[ast.AST] = set()
    for other in ast.walk(place.function):
        if isinstance(other, (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)):
            inside |= set(ast.walk(other))
    names = {item.id for item in ast.walk(place.function) if isinstance(item, ast.Name) and item not in inside}
    arguments = {item.arg for item in ast.walk(place.function.args) if isinstance(item, ast.arg)}
    return own & (names | arguments)


def _is_typed(place: Place, name: str) -> bool:
    """Whether a name has its type from another assignment."""
    stores = [
        node
        for node in ast.walk(place.function)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
    return len(stores) > 1
