"""One refusal of the compiler, taken apart: its message, its place in the user's source, the node that stands there.

Also what the search for further refusals shares: the sources, the types a run showed, and the names that lost their
value to an edit. It decides nothing.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any

from ts_shape_server.agent.script import edits, locate, types
from ts_shape_server.agent.script.expressions import Expressions, record
from ts_shape_server.agent.script.locate import Located, Place
from ts_shape_server.agent.script.observe import Seen
from ts_shape_server.agent.script.sources import Parsed, Sources
from ts_shape_server.agent.script.types import Type


@dataclass
class Search:
    """What is known while the compiler is asked again and again.

    `rerun` runs the module eagerly; `users` says whether a file is the user's.
    """

    sources: Sources
    seen: dict[CodeType, Seen]
    rerun: Callable[[], Any]
    users: Callable[[str], bool]
    expressions: Expressions = field(default_factory=Expressions)
    lost: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def seen_of(self, function: Parsed) -> Seen | None:
        """What the run saw of a function, None if it never ran."""
        for entry in self.seen.values():
            if entry.path == function.path and entry.name == function.tree.name:
                first = entry.code.co_firstlineno
                if function.first_line <= first <= function.last_line:
                    return entry
        return None

    def type_of(self, function: Parsed, node: ast.AST) -> Type | None:
        """The type an expression had in the run; None if it did not run."""
        if isinstance(node, ast.Constant):
            return types.of(node.value)
        self.record_all()
        return self.expressions.type_of(function, node)

    def ran(self, function: Parsed, block: list[ast.stmt]) -> bool:
        self.record_all()
        return self.expressions.ran(function, block)

    def record_all(self) -> None:
        """See the expressions of the functions that were compiled since the last time."""
        new = [
            parsed
            for parsed in self.sources.functions.values()
            if parsed.key not in self.expressions.tried and self.users(parsed.path)
        ]
        if new:
            self.expressions.tried.update(parsed.key for parsed in new)
            record(new, self.rerun, self.expressions)

    def wanted(self, function: Parsed) -> dict[str, Type]:
        """The parameters that the compiler takes for Tensors because nothing says otherwise, and that are not."""
        seen = self.seen_of(function)
        if seen is None:
            return {}
        arguments = [*function.tree.args.args, *function.tree.args.kwonlyargs]
        found = {}
        for argument in arguments:
            kind = seen.parameters.get(argument.arg)
            if argument.annotation is None and kind is not None and kind.representable and kind != types.TENSOR:
                found[argument.arg] = types.with_default(kind, default_of(function.tree, argument.arg))
        return found


def default_of(tree: ast.FunctionDef, parameter: str) -> ast.expr | None:
    """The expression of a parameter's default."""
    arguments = tree.args
    for argument, default in zip(reversed(arguments.args), reversed(arguments.defaults)):
        if argument.arg == parameter:
            return default
    for argument, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        if argument.arg == parameter:
            return keyword_default
    return None


@dataclass(frozen=True)
class Problem:
    """`function` and `node` are None where torch names no place in the user's source.

    `place` is what is shown; `chain` are the other places, with what they have to do with it.
    """

    located: Located
    text: str
    function: Parsed | None = None
    node: ast.AST | None = None
    place: Place | None = None
    chain: tuple[Place, ...] = ()

    @property
    def message(self) -> str:
        return self.located.message

    @property
    def signature(self) -> tuple[str, Place | None]:
        """Equal for two errors that are the same one."""
        return self.message, self.located.places[0] if self.located.places else None

    @property
    def code(self) -> str:
        """The source of the node, empty if there is none."""
        if self.function is None or self.node is None:
            return ""
        return ast.unparse(self.node)


def take_apart(error: BaseException, search: Search) -> Problem:
    """Find what an error of the compiler is about."""
    text = str(error)
    located = locate.read(text)
    if not located.places:
        located = replace(located, places=tuple(_from_traceback(error, search)))
    places = [_exact(error, place, search) if place.column is None else place for place in located.places]
    for index, place in enumerate(places):
        if not search.users(place.path):
            continue
        function = search.sources.function_at(place.path, place.line)
        node = function.node_at(place) if function is not None else None
        chain = (*places[:index], *places[index + 1 :])
        return Problem(located, text, function, node, _narrowed(function, node, place), chain)
    return Problem(located, text, chain=tuple(places))


def _from_traceback(error: BaseException, search: Search) -> Iterator[Place]:
    """Torch's parser fails on some nodes without a word of where: the node is a local of its frames."""
    trace = error.__traceback__
    found: tuple[ast.AST, Any] | None = None
    while trace is not None:
        values = trace.tb_frame.f_locals
        node = next((values[name] for name in ("stmt", "expr", "node") if isinstance(values.get(name), ast.AST)), None)
        if node is not None and hasattr(node, "lineno") and hasattr(values.get("ctx"), "filename"):
            found = node, values["ctx"]
        trace = trace.tb_next
    if found is None:
        return
    node, context = found
    for function in search.sources.functions.values():
        if function.path == context.filename and function.source == context.source:
            yield function.place_of(node)


def _exact(error: BaseException, place: Place, search: Search) -> Place:
    source_range = getattr(error, "source_range", None)
    function = search.sources.function_at(place.path, place.line)
    if source_range is None or function is None:
        return place
    return locate.with_source_range(place, source_range, function.source, function.first_line)


def _narrowed(function: Parsed | None, node: ast.AST | None, place: Place) -> Place:
    """The node's own extent where torch marked nothing, or a keyword or bracket of it; else what torch marked."""
    if function is None or node is None:
        return place
    whole = function.place_of(node)
    if place.column is None:
        return whole if not isinstance(node, ast.stmt) else place
    if not isinstance(node, ast.expr):
        return place
    short = (place.end_column or 0) - place.column <= 1 and place.line == place.end_line
    return whole if short or _closes(place, whole) else place


def _closes(place: Place, whole: Place) -> bool:
    """Whether all that torch left out of an expression are the brackets that close it."""
    if (place.line, place.column) != (whole.line, whole.column) or place.end_line != whole.end_line:
        return False
    line = linecache.getline(place.path, place.end_line).encode()
    return not line[place.end_column : whole.end_column].strip(b")]} ,")


def statement_at(problem: Problem) -> ast.stmt | None:
    """The statement that the problem's node is or belongs to."""
    if problem.function is None or problem.node is None:
        return None
    return edits.statement_of(problem.function.tree, problem.node)
