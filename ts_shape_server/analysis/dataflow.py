"""How values flow through `forward`, read from the text: layers, functions and operators as nodes, names as edges.

Loops are drawn once, both sides of a condition are drawn, and a method of the class is drawn where it is called. What
does not move tensors (sizes, dtypes, numbers) is left out. Nothing is run; which nodes a run came to is for others to
say, by the lines. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ts_shape_server.analysis.local_names import from_modules
from ts_shape_server.analysis.modules import dotted
from ts_shape_server.analysis.scopes import FUNCTIONS, parameters

Kind = Literal["input", "layer", "function", "operator", "output"]
Method = ast.FunctionDef | ast.AsyncFunctionDef
Sources = frozenset[int]

_NOTHING: Sources = frozenset()
_NO_TENSORS = frozenset(
    {"shape", "size", "dtype", "device", "dim", "ndim", "training", "numel", "is_cuda", "requires_grad"}
)
_GROWS = frozenset({"append", "extend", "insert", "add", "update"})
_DEEPEST = 4
_MOST = 400
_SIGNS: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "−",
    ast.Mult: "×",
    ast.Div: "÷",
    ast.MatMult: "@",
    ast.Pow: "^",
}


@dataclass(frozen=True)
class Node:
    """`name` is the path of a layer, the name of a function or the sign of an operator. `first_line` and `last_line`
    are those of its statements; `variable` is the name that the last of them, in `value_line`, gives to the value, if
    it gives it one. `loop` numbers the loop around it (0: none), `pattern`: `name` stands for a container's modules.
    """

    number: int
    kind: Kind
    name: str
    first_line: int
    last_line: int
    variable: str = ""
    loop: int = 0
    pattern: bool = False
    value_line: int = 0


@dataclass(frozen=True)
class Edge:
    """A value that goes from one node to another; `back` from the end of a loop to its start."""

    source: int
    target: int
    back: bool = False


@dataclass(frozen=True)
class Flow:
    """The graph of one `forward`, its nodes in the order of the text."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


def flow(tree: ast.Module, class_name: str) -> Flow:
    """The flow through `forward` of a class of the file; an empty one where it has none."""
    methods = {item.name: item for item in _methods(tree, class_name.split("."))}
    forward = methods.get("forward")
    if forward is None:
        return Flow()
    drawn = _Drawing(methods)
    names: dict[str, Sources] = {}
    for name in parameters(forward.args)[1:]:
        names[name] = drawn.node("input", name, forward, ())
    drawn.block(forward.body, names, forward, 0)
    return _tidied(drawn.nodes, drawn.edges)


def _methods(tree: ast.Module, path: list[str]) -> Iterator[Method]:
    body: list[ast.stmt] = tree.body
    for name in path:
        if name == "<locals>":
            continue
        found = next((item for item in _definitions(body) if item.name == name), None)
        if found is None:
            return
        body = found.body
    yield from (item for item in body if isinstance(item, FUNCTIONS))


def _definitions(body: Iterable[ast.stmt]) -> Iterator[ast.ClassDef | Method]:
    for item in body:
        if isinstance(item, (ast.ClassDef, *FUNCTIONS)):
            yield item
        for block in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(item, (ast.ClassDef, *FUNCTIONS)):
                yield from _definitions(getattr(item, block, ()))


@dataclass
class _Drawing:
    """The nodes and edges so far. `names` of a block is what each name holds by now: the nodes that its value is of."""

    methods: Mapping[str, Method]
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    _loop: int = 0
    _loops: int = 0
    _inlined: list[str] = field(default_factory=list)
    _statement: ast.stmt | None = None
    _method: Method | None = None

    def node(self, kind: Kind, name: str, at: ast.AST, sources: Iterable[int], pattern: bool = False) -> Sources:
        if len(self.nodes) >= _MOST:
            return frozenset(sources)
        place = self._statement if self._statement is not None else at
        first = int(getattr(place, "lineno", 1))
        last = first if kind == "input" else int(getattr(place, "end_lineno", None) or first)
        made = Node(len(self.nodes), kind, name, first, last, loop=self._loop, pattern=pattern, value_line=first)
        self.nodes.append(made)
        self.edges += [Edge(source, made.number) for source in sorted(sources)]
        return frozenset({made.number})

    def block(self, body: Iterable[ast.stmt], names: dict[str, Sources], method: Method, depth: int) -> Sources:
        """Draw statements; gives what they return."""
        returned: Sources = _NOTHING
        for statement in body:
            self._statement, self._method = statement, method
            returned |= self._drawn(statement, names, method, depth)
        return returned

    def _drawn(self, node: ast.stmt, names: dict[str, Sources], method: Method, depth: int) -> Sources:
        if isinstance(node, ast.Return):
            found = self._value(node.value, names)
            if depth == 0 and found:
                self.node("output", "output", node, found)
            return found
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self._assign(target, node.value, names)
        elif isinstance(node, ast.AugAssign):
            self._increase(node, names)
        elif isinstance(node, ast.Expr):
            self._value(node.value, names)
        elif isinstance(node, ast.If):
            return self._branches(node, names, method, depth)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            return self._looped(node, names, method, depth)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            return self.block(node.body, names, method, depth)
        elif isinstance(node, ast.Try):
            return self.block([*node.body, *node.orelse, *node.finalbody], names, method, depth)
        return _NOTHING

    def _assign(self, target: ast.expr, value: ast.expr | None, names: dict[str, Sources]) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            single = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            if single and isinstance(value, (ast.Tuple, ast.List)):
                found = [self._value(item, names) for item in value.elts]
            else:
                found = [self._value(value, names)] * len(target.elts)
            for part, sources in zip(target.elts, found, strict=True):
                part = part.value if isinstance(part, ast.Starred) else part
                if isinstance(part, ast.Name):
                    names[part.id] = sources
            return
        found_one = self._value(value, names)
        if isinstance(target, ast.Name):
            names[target.id] = found_one
            self._call(found_one, target.id)
        elif isinstance(target, (ast.Subscript, ast.Attribute)):
            base = target.value
            if isinstance(base, ast.Name) and base.id != "self":
                names[base.id] = names.get(base.id, _NOTHING) | found_one

    def _call(self, sources: Sources, name: str) -> None:
        """The statement gives the value of the node that it drew to a name."""
        if len(sources) == 1 and self._statement is not None:
            (number,) = sources
            made = self.nodes[number]
            if made.kind != "input" and made.first_line == self._statement.lineno:
                self.nodes[number] = replace(made, variable=name)

    def _increase(self, node: ast.AugAssign, names: dict[str, Sources]) -> None:
        value = self._value(node.value, names)
        if not isinstance(node.target, ast.Name):
            return
        before = names.get(node.target.id, _NOTHING)
        if value and before:
            value = self.node("operator", _SIGNS.get(type(node.op), "·"), node, before | value)
            self._call(value, node.target.id)
        names[node.target.id] = value or before

    def _branches(self, node: ast.If, names: dict[str, Sources], method: Method, depth: int) -> Sources:
        first, second = dict(names), dict(names)
        returned = self.block(node.body, first, method, depth)
        returned |= self.block(node.orelse, second, method, depth)
        ended = [_ends(node.body), bool(node.orelse) and _ends(node.orelse)]
        for name in {*first, *second}:
            parts = [item.get(name, _NOTHING) for item, over in zip((first, second), ended, strict=True) if not over]
            names[name] = frozenset().union(*parts) if parts else names.get(name, _NOTHING)
        return returned

    def _looped(
        self, node: ast.For | ast.AsyncFor | ast.While, names: dict[str, Sources], method: Method, depth: int
    ) -> Sources:
        around, before = self._loop, dict(names)
        self._loops += 1
        self._loop = self._loops
        if not isinstance(node, ast.While):
            for part in ast.walk(node.target):
                if isinstance(part, ast.Name):
                    names[part.id] = self._value(node.iter, names)
        start = len(self.nodes)
        returned = self.block(node.body, names, method, depth)
        inside = range(start, len(self.nodes))
        entered = {
            (edge.target, name)
            for edge in self.edges
            for name, sources in before.items()
            if edge.target in inside and edge.source in sources and edge.source not in inside
        }
        for target, name in sorted(entered):
            for last in sorted(names.get(name, _NOTHING) - before[name]):
                if last in inside and last >= target:
                    self.edges.append(Edge(last, target, back=True))
        self._loop = around
        return returned

    def _value(self, node: ast.expr | None, names: Mapping[str, Sources]) -> Sources:
        """The nodes that the value of an expression comes from."""
        if node is None or isinstance(node, (ast.Constant, ast.Lambda, ast.Compare, ast.JoinedStr)):
            return _NOTHING
        if isinstance(node, ast.Name):
            return names.get(node.id, _NOTHING)
        if isinstance(node, ast.Call):
            return self._called(node, names)
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, names), self._value(node.right, names)
            if left and right:
                return self.node("operator", _SIGNS.get(type(node.op), "·"), node, left | right)
            return left or right
        if isinstance(node, ast.Attribute):
            return _NOTHING if node.attr in _NO_TENSORS else self._value(node.value, names)
        if isinstance(node, (ast.Subscript, ast.Starred, ast.Await, ast.NamedExpr)):
            return self._value(node.value, names)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            return self._comprehension(node, names)
        if isinstance(node, ast.IfExp):
            return self._value(node.body, names) | self._value(node.orelse, names)
        children = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
        return frozenset().union(*(self._value(child, names) for child in children))

    def _comprehension(
        self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, names: Mapping[str, Sources]
    ) -> Sources:
        inner = dict(names)
        for each in node.generators:
            for part in ast.walk(each.target):
                if isinstance(part, ast.Name):
                    inner[part.id] = self._value(each.iter, inner)
        return self._value(node.elt, inner)

    def _called(self, node: ast.Call, names: Mapping[str, Sources]) -> Sources:
        given = [*node.args, *(item.value for item in node.keywords)]
        path = dotted(node.func) or ""
        own = path.removeprefix("self.") if path.startswith("self.") else ""
        if own in self.methods and own not in self._inlined and len(self._inlined) < _DEEPEST:
            return self._inline(self.methods[own], node, names)
        sources = frozenset().union(*(self._value(item, names) for item in given))
        if own and "[" not in own:
            pattern = isinstance(node.func, ast.Subscript)
            return self.node("layer", own, node, sources, pattern=pattern) if sources else _NOTHING
        if isinstance(node.func, ast.Name) and self._method is not None:
            looped = from_modules(self._method, node.func.id, node.lineno)
            if looped is not None and sources:
                name = looped.path if looped.position is None else f"{looped.path}[{looped.position}]"
                return self.node("layer", name, node, sources, pattern=True)
        receiver = _NOTHING
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in _NO_TENSORS:
                return _NOTHING
            receiver = self._value(node.func.value, names)
            if node.func.attr in _GROWS and isinstance(node.func.value, ast.Name) and isinstance(names, dict):
                names[node.func.value.id] = receiver | sources
                return _NOTHING
            if node.func.attr == "pop":
                return receiver
        name = path.rsplit(".", 1)[-1] if path else getattr(node.func, "attr", "call")
        made = path.startswith("torch.") and path.count(".") == 1
        return self.node("function", name, node, receiver | sources) if receiver | sources or made else _NOTHING

    def _inline(self, method: Method, call: ast.Call, names: Mapping[str, Sources]) -> Sources:
        """A method of the class, drawn with what this call gives it."""
        inner: dict[str, Sources] = {}
        taken = parameters(method.args)[1:]
        for name, value in zip(taken, call.args, strict=False):
            inner[name] = self._value(value, names)
        for item in call.keywords:
            if item.arg is not None:
                inner[item.arg] = self._value(item.value, names)
        statement, around = self._statement, self._method
        self._inlined.append(method.name)
        found = self.block(method.body, inner, method, len(self._inlined))
        self._inlined.pop()
        self._statement, self._method = statement, around
        return found


def _ends(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))


def _tidied(nodes: list[Node], edges: list[Edge]) -> Flow:
    """Runs of functions that only pass a value on are one node; what reaches no output and came from nothing goes."""
    merged: dict[int, int] = {}
    kept = {item.number: item for item in nodes}
    for item in nodes:
        before = [edge.source for edge in edges if edge.target == item.number]
        if item.kind != "function" or len(before) != 1:
            continue
        source = merged.get(before[0], before[0])
        former = kept.get(source)
        leaving = [edge for edge in edges if edge.source == before[0]]
        if former is None or former.kind != "function" or len(leaving) != 1 or former.loop != item.loop:
            continue
        merged[item.number] = source
        kept[source] = replace(
            former,
            name=f"{former.name} · {item.name}",
            last_line=item.last_line,
            variable=item.variable,
            value_line=item.value_line,
        )
        del kept[item.number]

    def place(number: int) -> int:
        return merged.get(number, number)

    told = [Edge(place(edge.source), place(edge.target), edge.back) for edge in edges]
    found = tuple(dict.fromkeys(edge for edge in told if edge.source != edge.target or edge.back))
    used = {end for edge in found for end in (edge.source, edge.target)}
    return Flow(tuple(item for item in kept.values() if item.number in used or item.kind == "input"), found)
