"""One refusal of the compiler, taken apart: its message, its place in the user's source, the node that stands there.

Also what the search for further refusals shares: the sources, the types a run showed, and the names that lost their
value to an edit. It decides nothing.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any

from torch import nn

from ts_shape_server.agent.script import edits, locate, observe, types
from ts_shape_server.agent.script.expressions import Expressions, record
from ts_shape_server.agent.script.locate import Located, MarkedPlace
from ts_shape_server.agent.script.observe import Seen
from ts_shape_server.agent.script.sources import NodeKey, ParsedFunction, Sources, key_of, located_nodes
from ts_shape_server.agent.script.types import Type
from ts_shape_server.agent.torch_says import compiler
from ts_shape_server.agent.torch_says.rows import Complaint


@dataclass
class RefusalSearch:
    """What is known while the compiler is asked again and again.

    `rerun` runs the module eagerly, in training mode if it is told so, which `trains` says whether it may matter;
    `users` says whether a file is the user's, `namespace` is that of the examined one.
    """

    sources: Sources
    seen: dict[CodeType, Seen]
    rerun: Callable[[bool], Any]
    users: Callable[[str], bool]
    namespace: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = True
    expressions: Expressions = field(default_factory=Expressions)
    lost: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    opaque: dict[tuple[str, int], set[NodeKey]] = field(default_factory=dict)
    handled: set[tuple[tuple[str, int], NodeKey]] = field(default_factory=set)

    def seen_of(self, function: ParsedFunction) -> Seen | None:
        """What the run saw of a function, None if it never ran."""
        for entry in self.seen.values():
            if entry.path == function.path and entry.name == function.tree.name:
                first = entry.code.co_firstlineno
                if function.first_line <= first <= function.last_line:
                    return entry
        return None

    def type_of(self, function: ParsedFunction, node: ast.AST) -> Type | None:
        """The type an expression had in the run; None if it did not run."""
        if isinstance(node, ast.Constant):
            return types.of(node.value)
        self.record_with(function)
        return self.expressions.type_of(function, node)

    def ran(self, function: ParsedFunction, block: list[ast.stmt]) -> bool:
        self.record_with(function)
        return self.expressions.ran(function, block)

    def record_with(self, function: ParsedFunction) -> None:
        """See the expressions of a function, of the user's that were compiled since the last time, and of those that
        ran: one run shows what is asked of each later on.
        """
        if function.key in self.expressions.tried:
            return
        compiled = {
            parsed.key: parsed
            for parsed in self.sources.functions.values()
            if parsed.key not in self.expressions.tried and (self.users(parsed.path) or parsed.key == function.key)
        }
        training = (lambda: self.rerun(True)) if self.trains else None
        for new in ({**{parsed.key: parsed for parsed in self._that_ran()}, **compiled}, compiled):
            self.expressions.tried.update(new)
            if not new or record(list(new.values()), lambda: self.rerun(False), self.expressions, training):
                return

    def _that_ran(self) -> Iterator[ParsedFunction]:
        """The functions that the eager run went through and that are not recorded yet: a refusal may also stand in one
        of an installed package.
        """
        for entry in self.seen.values():
            found = observe.function_of(entry, self.namespace)
            parsed = self.sources.ahead(found) if found is not None else None
            if parsed is not None and parsed.key not in self.expressions.tried:
                yield parsed

    def invented(self, function: ParsedFunction, node: ast.AST) -> bool:
        """Whether an expression reads a value that only an edit gave it."""
        opaque = self.opaque.get(function.key, set())
        inner = [node, *located_nodes(node)] if hasattr(node, "lineno") else []
        if any(key_of(item) in opaque for item in inner):
            return True
        return bool(self.lost.get(function.key, set()) & edits.loaded_names(node))

    def wanted(self, function: ParsedFunction) -> dict[str, Type]:
        """The parameters that the compiler takes for Tensors because nothing says otherwise, and that are not.

        A function that never ran still tells by its defaults.
        """
        seen = self.seen_of(function)
        arrived = seen.parameters if seen is not None else {}
        defaults = default_values(function)
        found = {}
        for argument in [*function.tree.args.args, *function.tree.args.kwonlyargs]:
            name = argument.arg
            if argument.annotation is not None or (name not in arrived and name not in defaults):
                continue
            kind = types.with_default(arrived.get(name, types.UNKNOWN), defaults, name)
            if kind.representable and kind not in (types.TENSOR, types.UNKNOWN):
                found[name] = kind
        return found

    def guessed(self, function: ParsedFunction, parameter: str) -> bool:
        """Whether nothing but None was ever seen in a parameter: its type in `wanted` is a guess."""
        seen = self.seen_of(function)
        kind = seen.parameters.get(parameter, types.NONE) if seen is not None else types.NONE
        return kind == types.NONE and default_values(function).get(parameter) is None


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


def default_values(function: ParsedFunction) -> dict[str, Any]:
    """The values of a function's defaults."""
    try:
        parameters = inspect.signature(function.function).parameters
    except (TypeError, ValueError):
        return {}
    return {name: item.default for name, item in parameters.items() if item.default is not item.empty}


@dataclass(frozen=True)
class CompilerProblem:
    """`function` and `node` are None where torch names no place in the user's source.

    `place` is what is shown; `chain` are the other places, with what they have to do with it. `module` is the one that
    torch was compiling; `library` the function of somebody else's in which it stands, the one that was reached first.
    """

    located: Located
    text: str
    function: ParsedFunction | None = None
    node: ast.AST | None = None
    place: MarkedPlace | None = None
    chain: tuple[MarkedPlace, ...] = ()
    module: nn.Module | None = None
    library: ParsedFunction | None = None

    @property
    def whole(self) -> ast.AST | None:
        """The call whose callee is marked; else the marked node."""
        if self.function is None or self.node is None:
            return self.node
        parent = edits.parents(self.function.tree).get(self.node)
        return parent if isinstance(parent, ast.Call) and parent.func is self.node else self.node

    @property
    def message(self) -> str:
        return self.located.message

    @property
    def complaint(self) -> Complaint | None:
        """What the compiler stopped at; None where nobody knows its words."""
        return compiler.refusal(self.message)

    def refused(self, *kinds: str) -> bool:
        """Whether the compiler stopped at a complaint of one of these kinds."""
        return self.complaint is not None and self.complaint.kind in kinds

    def says(self, kind: str) -> Complaint | None:
        """What the compiler's text says of one kind, stopped at or not."""
        return compiler.complaint(self.message, kind)

    @property
    def signature(self) -> tuple[str, MarkedPlace | None]:
        """Equal for two errors that are the same one."""
        return compiler.signature(self.message), self.located.places[0] if self.located.places else None

    @property
    def code(self) -> str:
        """The source of the node, empty if there is none."""
        if self.function is None or self.node is None:
            return ""
        return ast.unparse(self.node)


def take_apart(error: BaseException, search: RefusalSearch) -> CompilerProblem:
    """Find what an error of the compiler is about."""
    text = str(error)
    located = locate.read(text)
    if not located.places:
        found = _from_parser(error, search) or _from_callee(error, search) or _from_last_call(text, search)
        found = found or _from_early_return(text, search)
        located = replace(located, places=found)
    module = _module(error)
    places = [_exact(error, place, search) if place.column is None else place for place in located.places]
    for index, place in enumerate(places):
        if not search.users(place.path):
            continue
        function = search.sources.function_at(place.path, place.line)
        node = function.node_at(place) if function is not None else None
        library = _function_of(places[index - 1], search) if index else None
        if function is not None and isinstance(node, ast.stmt):
            node, place = _calling(function, node, place, library)
        chain = (*places[:index], *places[index + 1 :])
        return CompilerProblem(located, text, function, node, _narrowed(function, node, place), chain, module, library)
    if not places:
        return CompilerProblem(located, text, module=module)
    function = search.sources.function_at(places[0].path, places[0].line)
    node = function.node_at(places[0]) if function is not None else None
    library = _function_of(places[-1], search)
    return CompilerProblem(located, text, function, node, None, tuple(places), module, library)


def _function_of(place: MarkedPlace, search: RefusalSearch) -> ParsedFunction | None:
    return search.sources.function_at(place.path, place.line)


def _calling(
    function: ParsedFunction, node: ast.stmt, place: MarkedPlace, callee: ParsedFunction | None
) -> tuple[ast.AST, MarkedPlace]:
    """The call of `callee` in a statement that torch marks as a whole; the statement where there is not one only."""
    calls = [
        item
        for item in ast.walk(node)
        if isinstance(item, ast.Call) and callee is not None and edits.called_name(item) == callee.tree.name
    ]
    return (calls[0], function.place_of(calls[0], place.caption)) if len(calls) == 1 else (node, place)


def _frames(error: BaseException) -> Iterator[dict[str, Any]]:
    """The locals of the frames that an error went through, the outermost first."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_locals
        trace = trace.tb_next


def _module(error: BaseException) -> nn.Module | None:
    """The module that torch was compiling, a local of its frames."""
    found: nn.Module | None = None
    for values in _frames(error):
        if isinstance(values.get("nn_module"), nn.Module):
            found = values["nn_module"]
    return found


def _from_parser(error: BaseException, search: RefusalSearch) -> tuple[MarkedPlace, ...]:
    """Torch's parser fails on some nodes without a word of where: the node is a local of its frames."""
    found: tuple[ast.AST, Any] | None = None
    for values in _frames(error):
        node = next((values[name] for name in ("stmt", "expr", "node") if isinstance(values.get(name), ast.AST)), None)
        if node is not None and hasattr(node, "lineno") and hasattr(values.get("ctx"), "filename"):
            found = node, values["ctx"]
    if found is None:
        return ()
    node, context = found
    return tuple(
        function.place_of(node)
        for function in search.sources.functions.values()
        if function.path == context.filename and function.source == context.source
    )[:1]


def _from_callee(error: BaseException, search: RefusalSearch) -> tuple[MarkedPlace, ...]:
    """Torch fails on some callables (numpy's) without a word of where: the callable is a local of its frames."""
    if not isinstance(error, TypeError) or compiler.complaint(str(error), "weak-reference") is None:
        return ()
    called = [values["fn"] for values in _frames(error) if "fn" in values]
    for function in search.sources.functions.values():
        if not called or not search.users(function.path):
            continue
        scope = dict(inspect.getclosurevars(inspect.unwrap(function.function)).nonlocals)
        given = {name: getattr(builtins, name) for name in search.sources.names}
        scope = {**given, **getattr(inspect.unwrap(function.function), "__globals__", {}), **scope}
        for node in located_nodes(function.tree):
            if (function.key, key_of(node)) not in search.handled and named_object(node, scope) is called[-1]:
                return (function.place_of(node),)
    return ()


def named_object(node: ast.AST, scope: Mapping[str, Any]) -> Any:
    """What a dotted name is, in a function's globals; a mark of our own if that cannot be told."""
    if isinstance(node, ast.Name):
        return scope.get(node.id, node)
    if isinstance(node, ast.Attribute):
        owner = named_object(node.value, scope)
        return node if isinstance(owner, ast.AST) else getattr(owner, node.attr, node)
    return node


def _from_last_call(text: str, search: RefusalSearch) -> tuple[MarkedPlace, ...]:
    """The call that torch was looking at when it failed in a way that is about one."""
    if search.sources.last_range is None or not _stopped_at("callable-argument", text):
        return ()
    return locate.read(search.sources.last_range.highlight()).places


def _from_early_return(text: str, search: RefusalSearch) -> tuple[MarkedPlace, ...]:
    """Torch's compiler fails in itself on a ``with`` that stands after a block which may return."""
    if not _stopped_at("with-after-return", text):
        return ()
    for function in search.sources.functions.values():
        if not search.users(function.path):
            continue
        for block in [function.tree.body, *edits.blocks(function.tree)]:
            returns = False
            for statement in block:
                handled = (function.key, key_of(statement)) in search.handled
                if isinstance(statement, ast.With) and returns and not handled:
                    return (_head(function, statement),)
                returns = returns or any(isinstance(node, ast.Return) for node in ast.walk(statement))
    return ()


def _stopped_at(kind: str, text: str) -> bool:
    found = compiler.refusal(text)
    return found is not None and found.kind == kind


def _head(function: ParsedFunction, statement: ast.With) -> MarkedPlace:
    """A ``with`` up to its colon."""
    last = statement.items[-1]
    end = function.place_of(last.optional_vars or last.context_expr)
    return replace(function.place_of(statement), end_line=end.end_line, end_column=end.end_column)


def _exact(error: BaseException, place: MarkedPlace, search: RefusalSearch) -> MarkedPlace:
    source_range = getattr(error, "source_range", None)
    function = search.sources.function_at(place.path, place.line)
    if source_range is None or function is None:
        return place
    return locate.with_source_range(place, source_range, function.source, function.first_line)


def _narrowed(function: ParsedFunction | None, node: ast.AST | None, place: MarkedPlace) -> MarkedPlace:
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


def _closes(place: MarkedPlace, whole: MarkedPlace) -> bool:
    """Whether all that torch left out of an expression are the brackets that close it."""
    if (place.line, place.column) != (whole.line, whole.column) or place.end_line != whole.end_line:
        return False
    line = linecache.getline(place.path, place.end_line).encode()
    return not line[place.end_column : whole.end_column].strip(b")]} ,")


def statement_at(problem: CompilerProblem) -> ast.stmt | None:
    """The statement that the problem's node is or belongs to."""
    if problem.function is None or problem.node is None:
        return None
    return edits.statement_of(problem.function.tree, problem.node)
