"""Which edits may take one refusal out of the compiler's way, so that it shows the next.

`candidates` yields them in the order to try, from the one that keeps most of the source to the one that gives up the
whole function. Whether one works is for the caller to see: it compiles again.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from functools import partial
from typing import Any

from ts_shape_server.agent.script import edits, neutralisation, refusals, types
from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch, default_values, statement_at
from ts_shape_server.agent.script.sources import ParsedFunction, key_of


def candidates(problem: CompilerProblem, search: RefusalSearch) -> Iterator[Neutralisation]:
    """The edits that may help against a problem, the gentlest first."""
    function = problem.function
    if function is None:
        return
    if problem.library is not None and not search.users(function.path):
        yield _without_library(search, problem.library)
    yield from _annotation(problem, search, function)
    typed = not refusals.independent(problem)
    if typed:
        yield from _callee_parameters(problem, search)
    yield from _of_kind(problem, search, function)
    if typed:
        yield from _parameters(problem, search, function)
    statement = statement_at(problem)
    if statement is not None:
        yield from _statement(problem, search, function, statement)
        yield from _expressions(problem, search, function, statement)
        yield from _give_up(search, function, statement)
    seen = search.seen_of(function)
    result = types.ANY if seen is None or not seen.result.representable else seen.result
    yield Neutralisation(function, (edits.any_signature(search.sources), edits.whole_body(search.sources, result)))


def _without_library(search: RefusalSearch, function: ParsedFunction) -> Neutralisation:
    """Nothing in a function that is not the user's to change is worth another look: its result is all that counts."""
    returned = [
        node.value for node in ast.walk(function.tree) if isinstance(node, ast.Return) and node.value is not None
    ]
    kinds = [search.type_of(function, node) for node in returned]
    result = types.join_all(kind for kind in kinds if kind is not None)
    known = result if result.representable and result != types.UNKNOWN else types.ANY
    return Neutralisation(function, (edits.any_signature(search.sources), edits.whole_body(search.sources, known)))


def _annotation(problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction) -> Iterator[Neutralisation]:
    """An annotation that the compiler does not know: say what the run saw."""
    if problem.node is None:
        return
    tree = function.tree
    if tree.returns is not None and neutralisation.within(problem.node, tree.returns):
        yield Neutralisation(function, (edits.without_result,))
    seen = search.seen_of(function)
    for argument in [*tree.args.args, *tree.args.kwonlyargs]:
        if argument.annotation is None or not neutralisation.within(problem.node, argument):
            continue
        kind = seen.parameters.get(argument.arg, types.ANY) if seen is not None else types.ANY
        kind = types.with_default(kind, default_values(function), argument.arg)
        known = kind if kind.representable else types.ANY
        yield Neutralisation(function, (edits.annotated(search.sources, argument.arg, known),))


def _callee_parameters(problem: CompilerProblem, search: RefusalSearch) -> Iterator[Neutralisation]:
    """A call that passes what the called function, for want of an annotation, takes for a Tensor."""
    printed, said = problem.says("signatures-printed"), problem.says("expected-types")
    arguments = list(said.names("arguments")) if said is not None else []
    for name in printed.names("callees") if printed is not None else ():
        for function in list(search.sources.functions.values()):
            if function.tree.name == name and search.users(function.path):
                yield from _annotations(search, function, arguments)


def _of_kind(problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction) -> Iterator[Neutralisation]:
    """What only this kind of refusal wants: the entry of the kind in `refusals` has it."""
    refusal = refusals.of(problem)
    if refusal is not None and refusal.neutralised is not None:
        yield from refusal.neutralised(problem, search, function)


def _parameters(problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction) -> Iterator[Neutralisation]:
    """Parameters without annotation that are no Tensors: those that the failing expression reads first."""
    statement = statement_at(problem)
    named = edits.loaded_names(problem.node) if problem.node is not None else set()
    around = edits.loaded_names(statement) if statement is not None else set()
    complaint, refusal = problem.complaint, refusals.of(problem)
    about = complaint is not None and refusal is not None and refusal.names_variable
    first = [complaint.name("name")] if complaint is not None and about else []
    yield from _annotations(search, function, [*first, *sorted(named), *sorted(around - named)])


def _annotations(search: RefusalSearch, function: ParsedFunction, first: list[str]) -> Iterator[Neutralisation]:
    wanted = search.wanted(function)
    named = [name for name in dict.fromkeys(first) if name in wanted]
    guessed = frozenset(name for name in wanted if search.guessed(function, name))
    single = {
        name: Neutralisation(
            function,
            (edits.annotated(search.sources, name, kind),),
            guessed & {name},
            repairs=(name,),
        )
        for name, kind in wanted.items()
    }
    for name in named:
        yield single[name]
    others = tuple(single[name] for name in wanted if name not in named)
    if others:
        every = tuple(edit for item in single.values() for edit in item.edits)
        yield Neutralisation(function, every, guessed, tuple(wanted), narrower=others)


def _statement(
    problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction, statement: ast.stmt
) -> Iterator[Neutralisation]:
    """Statements that the language lacks: what they contain stays."""
    key = key_of(statement)
    if isinstance(statement, ast.Try):
        body = [*statement.body, *statement.orelse, *statement.finalbody]
        yield Neutralisation(function, (edits.replaced(key, lambda _: body),))
    elif isinstance(statement, ast.With) and (problem.node is statement or _in_with_items(problem, statement)):
        inside = statement.body
        yield Neutralisation(function, (edits.replaced(key, lambda _: inside),), frozenset(_with_names(statement)))
    elif isinstance(statement, (ast.If,)) and problem.node is statement:
        yield from _one_branch(search, function, statement)
    elif isinstance(statement, (ast.For, ast.While)) and problem.node is statement and statement.orelse:
        yield Neutralisation(function, (edits.replaced(key, _without_else),))
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        lost = frozenset(_not_importable(search, function, statement))
        yield Neutralisation(function, (edits.replaced(key, lambda _: [ast.Pass()]),), lost)
    elif isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Global, ast.Nonlocal)):
        lost = frozenset(edits.stored_names(statement))
        yield Neutralisation(function, (edits.replaced(key, lambda _: [ast.Pass()]),), lost)
    elif isinstance(statement, (ast.Assert, ast.Raise, ast.Delete)):
        yield Neutralisation(function, (edits.replaced(key, lambda _: [ast.Pass()]),))


def _not_importable(search: RefusalSearch, function: ParsedFunction, statement: ast.stmt) -> set[str]:
    """Give the names of an import their meaning everywhere; those that cannot get it are returned."""
    scope: dict[str, Any] = {"__name__": function.function.__module__}
    scope["__package__"] = function.function.__globals__.get("__package__")
    try:
        exec(compile(ast.Module([statement], []), function.path, "exec"), scope)
    except Exception:
        return edits.stored_names(statement)
    names = edits.stored_names(statement)
    for name in names:
        if name in scope and not hasattr(builtins, name):
            search.sources.define(scope[name], name)
    return {name for name in names if name not in scope}


def _in_with_items(problem: CompilerProblem, statement: ast.With) -> bool:
    return any(problem.node is node for item in statement.items for node in ast.walk(item))


def _with_names(statement: ast.With) -> set[str]:
    return {name for item in statement.items if item.optional_vars for name in edits.stored_names(item.optional_vars)}


def _without_else(node: ast.For) -> list[ast.stmt]:
    after = node.orelse
    node.orelse = []
    return [node, *after]


def _one_branch(search: RefusalSearch, function: ParsedFunction, statement: ast.If) -> Iterator[Neutralisation]:
    """Keep the branch that the run took, where it took one only."""
    taken = search.ran(function, statement.body)
    other = bool(statement.orelse) and search.ran(function, statement.orelse)
    if taken and not other:
        yield Neutralisation(function, (edits.replaced(key_of(statement), lambda node: node.body),))
    elif not taken:
        yield Neutralisation(function, (edits.replaced(key_of(statement), lambda node: node.orelse or [ast.Pass()]),))


def _expressions(
    problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction, statement: ast.stmt
) -> Iterator[Neutralisation]:
    """Put a value of the type that the run saw in the place of the failing expression, or of one around it."""
    above = edits.parents(function.tree)
    node: ast.AST | None = problem.node
    opaque: list[ast.expr] = []
    while node is not None and not isinstance(node, ast.stmt):
        parent = above.get(node)
        callee = isinstance(parent, ast.Call) and parent.func is node
        if isinstance(node, ast.expr) and not callee and not isinstance(getattr(node, "ctx", None), ast.Store):
            kind = search.type_of(function, node)
            if kind is not None and kind.representable:
                test = _decided(search, function, statement, node)
                if test is not None:
                    yield Neutralisation(function, (edits.replaced(key_of(node), partial(_constant, test)),))
                yield from neutralisation.values(search, function, node, kind)
            elif kind is not None:
                opaque.append(node)
        node = parent
    for node in opaque:
        yield neutralisation.value(search, function, node, types.ANY, lost=frozenset(edits.stored_names(statement)))


def _decided(
    search: RefusalSearch, function: ParsedFunction, statement: ast.stmt, node: ast.AST
) -> ast.Constant | None:
    """The constant that a condition was, where the run went one way only."""
    if not isinstance(statement, ast.If) or statement.test is not node:
        return None
    taken = search.ran(function, statement.body)
    if not taken:
        return ast.Constant(False)
    return None if statement.orelse and search.ran(function, statement.orelse) else ast.Constant(True)


def _constant(value: ast.expr, _: ast.AST) -> ast.expr:
    return value


def _give_up(search: RefusalSearch, function: ParsedFunction, statement: ast.stmt) -> Iterator[Neutralisation]:
    """Leave out what never ran; else the statement."""
    for block in edits.blocks(function.tree):
        if statement in block and block is not function.tree.body and not search.ran(function, block):
            yield Neutralisation(function, (edits.cut_from(key_of(statement)),))
    if isinstance(statement, ast.If):
        yield from _one_branch(search, function, statement)
    lost = frozenset(edits.stored_names(statement))
    if isinstance(statement, ast.Return):
        yield Neutralisation(function, (edits.cut_from(key_of(statement)),))
    elif lost:
        kinds = {name: neutralisation.type_read(search, function, name) for name in sorted(lost)}
        yield Neutralisation(
            function,
            (
                edits.replaced(
                    key_of(statement),
                    lambda _: [
                        edits.assignment(name, edits.value_call(search.sources, kind)) for name, kind in kinds.items()
                    ],
                ),
            ),
        )
    else:
        yield Neutralisation(function, (edits.replaced(key_of(statement), lambda _: [ast.Pass()]),))
