"""Calls and loaders in a file that say how a class is constructed and what goes into it.

Looks at every call of the class, of its instances and of the functions that are given an instance with inputs (tracing,
export, summaries), and has a backward slice cut out for its arguments. The slices are run elsewhere, in the sandbox.
Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ts_shape_server.analysis import certainty, slicing, summaries
from ts_shape_server.analysis.instances import Instances, Standing
from ts_shape_server.analysis.modules import dotted, imports_everywhere, imports_of, parse, resolve_name
from ts_shape_server.analysis.program import Program, Site, Step, Way, enclosing_class, own_expressions
from ts_shape_server.analysis.scopes import COMPREHENSIONS, last_part
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallArguments, CallEvidence, Certainty

_TRACERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "trace": ("trace", ("example_inputs",)),
    "trace_module": ("trace", ("inputs",)),
    "export": ("export", ("args",)),
    "dynamo_export": ("export", ()),
    "script": ("script", ("example_inputs",)),
    "add_graph": ("call", ("input_to_model",)),
    "profile": ("call", ("inputs",)),
    "FlopCountAnalysis": ("call", ("inputs",)),
}
"""Functions that take an instance and then its inputs: the kind of evidence, and the inputs' names."""
_OF_TORCH = frozenset({"trace", "trace_module", "export", "dynamo_export", "script"})
MAXIMUM_SETUP = 60_000
"""Characters of a slice; a longer one is no evidence."""


@dataclass(frozen=True)
class Candidates:
    """Dotted names that may stand for a class, with the position of the last part of one use, and import paths."""

    names: Mapping[str, tuple[int, int]]
    paths: frozenset[str]


@dataclass(frozen=True)
class _Given:
    """The expressions of a call, unpacked as far as the text tells."""

    args: tuple[ast.expr, ...]
    kwargs: tuple[tuple[str, ast.expr], ...] = ()

    def expressions(self) -> list[ast.expr]:
        positional = [item.value if isinstance(item, ast.Starred) else item for item in self.args]
        return [*positional, *(value for _, value in self.kwargs)]

    def texts(self) -> CallArguments:
        named = tuple((name, ast.unparse(value)) for name, value in self.kwargs)
        return CallArguments(tuple(ast.unparse(item) for item in self.args), named)


@dataclass(frozen=True)
class _Spelled:
    """The dotted names of a file and the import paths in it, each under the last names that it may stand for."""

    names: Mapping[str, Mapping[str, tuple[int, int]]]
    paths: Mapping[str, frozenset[str]]


def candidates(source: SourceText, names: Iterable[str]) -> Candidates:
    """What in this file may stand for a class that somewhere has one of these (last) names."""
    spelled = _spelled(source.text)
    found: dict[str, tuple[int, int]] = {}
    paths: set[str] = set()
    for name in names:
        found.update(spelled.names.get(name, {}))
        paths |= spelled.paths.get(name, frozenset())
    return Candidates(found, frozenset(paths))


@lru_cache(maxsize=32)
def _spelled(text: str) -> _Spelled:
    """Read once for a file: a file of thousands of classes is asked for each of them."""
    program, imports = program_of(text)
    source = SourceText(text)
    seen: set[str] = set()
    names: dict[str, dict[str, tuple[int, int]]] = {}
    for way in program.ways:
        for node in own_expressions(way[-1].body[way[-1].index]):
            spelled = dotted(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
            if spelled is None or spelled in seen:
                continue
            seen.add(spelled)
            place = source.range_of(node)
            for whole in (spelled, resolve_name(spelled, imports)):
                last = whole.rsplit(".", 1)[-1]
                names.setdefault(last, {})[spelled] = (place.end_line, max(place.end_column - 1, 0))
    paths: dict[str, set[str]] = {}
    for path in imports_everywhere(program.tree):
        paths.setdefault(path.rsplit(".", 1)[-1], set()).add(path)
    return _Spelled(names, {name: frozenset(found) for name, found in paths.items()})


def calls_of(class_name: str, source: SourceText, path: str, standing: Standing) -> tuple[CallEvidence, ...]:
    """Everything in this file that constructs or calls the class of that (last) name, in the order of the lines.

    `standing` has the names that stand for the class in this file.
    """
    program, imports = program_of(source.text)
    return calls_on(Instances(program, standing), class_name, source, path, program, imports)


def calls_on(
    instances: Instances,
    class_name: str,
    source: SourceText,
    path: str,
    program: Program,
    imports: Mapping[str, str],
) -> tuple[CallEvidence, ...]:
    """Everything in a file that constructs or calls what `instances` knows, in the order of the lines."""
    try:
        finder = _Finder(program, instances, imports, class_name, path, source)
        unique = {(item.kind, item.line, item.init, item.inputs): item for item in finder.all()}
    except RecursionError:
        return ()
    return tuple(sorted(unique.values(), key=lambda item: item.line))


def makers_of(source: SourceText, standing: Standing) -> tuple[str, ...]:
    """The classes at the top of this file in whose body a class is named, in the order of the text."""
    program, _ = program_of(source.text)
    instances = Instances(program, standing)
    found: dict[str, None] = {}
    for way in program.ways:
        owner = enclosing_class(way)
        if owner is None or owner.name not in program.classes or owner.name in standing.names or owner.name in found:
            continue
        for node in own_expressions(way[-1].body[way[-1].index]):
            if isinstance(node, (ast.Name, ast.Attribute)) and instances.is_class(node, way):
                found[owner.name] = None
    return tuple(found)


@lru_cache(maxsize=32)
def program_of(text: str) -> tuple[Program, dict[str, str]]:
    """The statements of a file, and the paths that its imports give to names."""
    tree, _ = parse(SourceText(text))
    return Program(tree), imports_of(tree)


class _Finder:
    """Goes through the calls of one file for one class."""

    def __init__(
        self,
        program: Program,
        instances: Instances,
        imports: Mapping[str, str],
        class_name: str,
        path: str,
        source: SourceText,
    ) -> None:
        self._source = source
        self._program = program
        self._imports = imports
        self._instances = instances
        self._class = class_name
        self._path = path
        self._file = re.split(r"[/\\]", path)[-1]
        constructed = {ast.dump(site.call) for site in program.calls if instances.is_class(site.call.func, site.way)}
        self._ambiguous = len(constructed) > 1

    def all(self) -> Iterator[CallEvidence]:
        for site in self._program.calls:
            yield from self._of_call(site)
        for value, way in self._program.class_values.get((self._class, "example_input_array"), ()):
            yield from self._of_example(value, way)

    def _of_call(self, site: Site) -> Iterator[CallEvidence]:
        node, way = site.call, _into_comprehension(self._program, site)
        if self._instances.is_class(node.func, site.way):
            yield from self._evidence("constructor", way, node, node, None)
            return
        traced = self._traced(node, way)
        if traced is not None:
            kind, target, given = traced
            yield from self._evidence(kind, way, node, self._init(target, way), given, target)
            return
        target = node.func
        if isinstance(target, ast.Attribute) and target.attr == "forward":
            target = target.value
        if (node.args or node.keywords) and self._instances.origin(target, way) is not None:
            yield from self._evidence("call", way, node, self._init(target, way), self._given(node, way), target)

    def _init(self, target: ast.expr, way: Way) -> ast.Call | None:
        """The construction that belongs to a call, where it stands in the call or several are to be told apart."""
        origin = self._instances.origin(target, way)
        if origin is None or origin.call is None:
            return None
        made = certainty.construction(self._program, target, way)
        return origin.call if origin.call is target or origin.call is made or self._ambiguous else None

    def _traced(self, node: ast.Call, way: Way) -> tuple[str, ast.expr, _Given | None] | None:
        """The kind, the instance and the inputs of a call that is given both."""
        resolved = resolve_name(dotted(node.func) or "", self._imports)
        summary = summaries.read(node, resolved, lambda item: self._literal(item, way))
        if summary is not None and self._instances.origin(summary.target, way) is not None:
            return "call", summary.target, _Given(summary.args)
        name = last_part(node.func)
        if name not in _TRACERS or not node.args:
            return None
        if name in _OF_TORCH and not resolved.startswith("torch."):
            return None
        if self._instances.origin(node.args[0], way) is None:
            return None
        kind, names = _TRACERS[name]
        keywords = {item.arg: item.value for item in node.keywords}
        value = next((keywords[item] for item in names if item in keywords), None)
        if name == "dynamo_export":
            return kind, node.args[0], _Given(tuple(node.args[1:]))
        if value is None and len(node.args) > 1 and name != "script":
            value = node.args[1]
        if value is None:
            return None
        if name == "trace_module":
            value = _entry(value, "forward")
        if name == "script":
            value = value.elts[0] if isinstance(value, ast.List) and value.elts else None
        if value is None:
            return None
        args = self._items(value, way)
        named = _entries(keywords["kwargs"]) if "kwargs" in keywords else ()
        if name == "export" and args and isinstance(args[-1], ast.Dict) and not named:
            named = _entries(args.pop())
        return kind, node.args[0], None if named is None else _Given(tuple(args), named)

    def _items(self, node: ast.expr, way: Way) -> list[ast.expr]:
        """The elements of a tuple, also of one that a name stands for; anything else is one element."""
        if isinstance(node, ast.Tuple):
            return list(node.elts)
        literal = self._literal(node, way)
        if isinstance(literal, ast.Tuple):
            return [_item(node, ast.Constant(number)) for number in range(len(literal.elts))]
        return [node]

    def _literal(self, node: ast.expr, way: Way) -> ast.expr | None:
        """The expression that a name was last bound to."""
        value = self._program.value_of(node.id, way) if isinstance(node, ast.Name) else None
        return None if value is None or value.item is not None else value.expression

    def _given(self, call: ast.Call, way: Way) -> _Given:
        """The arguments of a call, unpacked as far as the text shows them."""
        args: list[ast.expr] = []
        named: list[tuple[str, ast.expr]] = []
        for item in call.args:
            if not isinstance(item, ast.Starred):
                args.append(item)
                continue
            literal = self._literal(item.value, way) or item.value
            if not isinstance(literal, (ast.Tuple, ast.List)) or _starred(literal.elts):
                args.append(item)
                continue
            args += [_item(item.value, ast.Constant(number)) for number in range(len(literal.elts))]
        for keyword in call.keywords:
            if keyword.arg is not None:
                named.append((keyword.arg, keyword.value))
                continue
            entries = _entries(self._literal(keyword.value, way) or keyword.value)
            if entries is None:
                named.append((f"**{len(named) or ''}", keyword.value))
                continue
            plain = isinstance(keyword.value, ast.Name)
            named += [(name, _item(keyword.value, ast.Constant(name)) if plain else value) for name, value in entries]
        return _Given(tuple(args), tuple(named))

    def _inlined(self, node: ast.expr, way: Way, depth: int = 0) -> ast.expr:
        """The construction of the object that a name holds, so that the expression holds without the name.

        Only where nothing changes the object in between: ``Net(config)`` after ``config = Config(3)``.
        """
        value = self._literal(node, way)
        if not isinstance(node, ast.Name) or not isinstance(value, ast.Call) or depth > 3:
            return node
        if not last_part(value.func)[:1].isupper() or node.id in self._program.changed:
            return node
        place = self._program.value_of(node.id, way)
        if place is None or _starred(value.args) or any(item.arg is None for item in value.keywords):
            return node
        args = [self._inlined(item, place.way, depth + 1) for item in value.args]
        named = [ast.keyword(item.arg, self._inlined(item.value, place.way, depth + 1)) for item in value.keywords]
        return ast.Call(value.func, args, named)

    def _of_example(self, value: ast.expr, way: Way) -> Iterator[CallEvidence]:
        """Lightning's ``self.example_input_array = …``, or the same in the class's body."""
        statement = way[-1].body[way[-1].index]
        entries = _entries(value)
        given = _Given((), entries) if entries else _Given(tuple(self._items(value, way)))
        place = f"example_input_array {self._file}:{statement.lineno}"
        yield from self._sliced("annotation", place, statement, [slicing.Need(way, given.expressions())], None, given)

    def _evidence(
        self,
        kind: str,
        way: Way,
        node: ast.Call,
        init: ast.Call | None,
        inputs: _Given | None,
        target: ast.expr | None = None,
    ) -> Iterator[CallEvidence]:
        if kind != "constructor" and inputs is None:
            return
        origin = None if target is None else self._instances.origin(target, way)
        if target is not None and certainty.replaces_parts(self._program, target, way):
            return
        label = f"{'call' if kind == 'constructor' else kind} {self._file}:{node.lineno}"
        needs: list[slicing.Need] = []
        made = None
        if init is not None:
            origin = self._instances.origin(init, way)
            place = next((site.way for site in self._program.calls if site.call is init), way)
            made = self._given(init, place) if origin is not None else None
            if made is None:
                if kind == "constructor":
                    return
            else:
                place = way if init is node else place
                needs.append(slicing.Need(place, made.expressions()))
                made = _Given(
                    tuple(self._inlined(item, place) for item in made.args),
                    tuple((name, self._inlined(item, place)) for name, item in made.kwargs),
                )
        if inputs is not None:
            needs.append(slicing.Need(way, inputs.expressions()))
        found = list(self._sliced(kind, label, node, needs, made, inputs))
        if not found and made is not None and inputs is not None:
            found = list(self._sliced(kind, label, node, needs[-1:], None, inputs))
        sure = self._certainty(kind, way, node, init, target, needs)
        cast = "" if origin is None else origin.dtype
        for item in found:
            known = sure if item.init is not None and not certainty.asks_outside(item.setup) else ""
            yield replace(item, certain=known, cast=cast)

    def _certainty(
        self,
        kind: str,
        way: Way,
        node: ast.Call,
        init: ast.Call | None,
        target: ast.expr | None,
        needs: Sequence[slicing.Need],
    ) -> Certainty:
        """How much of a refusal would be this call's own fault."""
        if init is None or not self._instances.is_sure(init.func) or not certainty.is_reached(way, node):
            return ""
        if target is not None and certainty.construction(self._program, target, way) is not init:
            return ""
        calls = [init] if target is None else [init, node]
        plain = all(not _starred(call.args) and all(item.arg for item in call.keywords) for call in calls)
        if not plain:
            return ""
        known = all(certainty.is_of_known_values(need.way, need.expressions) for need in needs)
        known = known and not certainty.sets_dtypes(self._program)
        return "values" if known and kind in ("call", "constructor") else "signature"

    def _sliced(
        self,
        kind: str,
        label: str,
        node: ast.stmt | ast.Call,
        needs: Sequence[slicing.Need],
        init: _Given | None,
        inputs: _Given | None,
    ) -> Iterator[CallEvidence]:
        cut = slicing.backward(self._program, needs)
        if cut is None or len(cut.setup) > MAXIMUM_SETUP:
            return
        line = node.lineno
        if cut.drawn and inputs is not None:
            kind, label = "loader", f"loader {_short(cut.drawn)} {self._file}:{line}"
        place = self._source.range_of(node)
        arguments = [None if given is None else given.texts() for given in (init, inputs)]
        yield CallEvidence(kind, self._path, line, cut.setup, arguments[0], arguments[1], label, place)


def _into_comprehension(program: Program, site: Site) -> Way:
    """The way to a call, with a step for each loop of the comprehensions that it stands in."""
    statement = site.way[-1].body[site.way[-1].index]
    way = site.way
    for node in program.comprehensions.get(id(statement), ()):
        if not isinstance(node, COMPREHENSIONS) or not _inside(site.call, node):
            continue
        for generator in node.generators:
            if not _inside(site.call, generator):
                loop = ast.For(generator.target, generator.iter, [statement], [], None)
                way = (*way, Step(loop, loop.body, 0))
    return way


def _inside(call: ast.Call, node: ast.AST) -> bool:
    return any(inner is call for inner in ast.walk(node))


def _entries(node: ast.expr | None) -> tuple[tuple[str, ast.expr], ...] | None:
    """The entries of a literal dict with names as keys; None for anything else."""
    if isinstance(node, ast.Call) and last_part(node.func) == "dict" and not node.args:
        named = [(item.arg, item.value) for item in node.keywords]
        return None if any(name is None for name, _ in named) else tuple((str(name), value) for name, value in named)
    if not isinstance(node, ast.Dict):
        return None
    found: list[tuple[str, ast.expr]] = []
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str) or not key.value.isidentifier():
            return None
        found.append((key.value, value))
    return tuple(found)


def _entry(node: ast.expr, name: str) -> ast.expr | None:
    return dict(_entries(node) or ()).get(name)


def _item(node: ast.expr, index: ast.expr) -> ast.expr:
    return ast.Subscript(node, index, ast.Load())


def _starred(nodes: Sequence[ast.expr]) -> bool:
    return any(isinstance(node, ast.Starred) for node in nodes)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
