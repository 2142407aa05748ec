"""Backward slices: the statements of a file that some expressions need, and no others.

Inside a block a needed name comes from the last statement that binds it, with what changes it in place. A loop over a
loader becomes the same loop with a `break`; a function's parameter comes from a call of that function in this file, a
parametrization, its default or a fixture. Where a name cannot be known, there is no slice. Pure.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ts_shape_server.analysis import arguments, blocks
from ts_shape_server.analysis.program import Program, Site, Way, segments
from ts_shape_server.analysis.scopes import (
    FUNCTIONS,
    free_names,
    header_names,
    last_part,
    leaves_function,
    parameters,
)

DEPTH = 3
"""How many calls a parameter is followed through."""
SITES = 3
"""How many calls of one function are tried."""
_BUILT_IN = frozenset({*dir(builtins), "__name__", "__file__", "__doc__"})
_DEFINITIONS = (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)
_WRAPPERS = frozenset({"enumerate", "tqdm", "trange", "track", "iter", "islice"})
_NO_LOADERS = frozenset({"range", "zip", "items", "keys", "values", "product"})


@dataclass(frozen=True)
class Need:
    """Expressions that are evaluated at the end of a way."""

    way: Way
    expressions: Sequence[ast.expr]


@dataclass(frozen=True)
class Slice:
    """Source that binds what is needed, and the text of the iterable whose first item was taken (empty without)."""

    setup: str
    drawn: str


def backward(program: Program, needs: Sequence[Need]) -> Slice | None:
    """What the expressions need; None where that cannot be known from the text."""
    slicer = _Slicer(program)
    local: list[ast.stmt] = []
    for need in needs:
        made = slicer.around(need.way, need.expressions, 0)
        if made is None:
            return None
        local += made
    kept = [*slicer.of_module(), *local]
    if slicer.unknown() or any(leaves_function(statement) for statement in kept):
        return None
    drawn = _drawn([*local, *(item for need in needs for item in need.expressions)], kept)
    return Slice(blocks.source_of(kept), drawn)


class _Slicer:
    """Follows scopes from the inside out, and collects which of the module's statements are needed."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._chosen: dict[int, set[str]] = {}
        self._asked: set[tuple[str, int]] = set()
        self._missing: set[str] = set()
        self._set_elsewhere: set[str] = set()
        self._fixtures: set[str] = set()
        self._attributes: set[tuple[int, str]] = set()
        self._owners: set[str] = set()

    def around(self, way: Way, expressions: Iterable[ast.expr], depth: int) -> list[ast.stmt] | None:
        """The statements of the functions around the end of `way` that expressions need; the module's are noted."""
        expressions = list(expressions)
        live = _names(expressions)
        kept: list[ast.stmt] = []
        scopes = segments(way)
        for owner, inside in reversed(scopes[1:]):
            kept[:0] = self._within(inside, live, _parameters_of(owner))
            if isinstance(owner, FUNCTIONS):
                place = _before(way, owner)
                attributes = self._own(owner, place, [*kept, *expressions], live, depth)
                bound = None if attributes is None else self._parameters(owner, place, live, depth)
                if attributes is None or bound is None:
                    return None
                kept[:0] = [*attributes, *bound]
        end, inner = self._place(scopes[0][1])
        if len(scopes) == 1:
            kept[:0] = self._within(inner, live, self._program.binders)
        else:
            end = len(self._program.module)
        self._need(live, end)
        return kept

    def _place(self, steps: Way) -> tuple[int, Way]:
        """The place among the module's statements, and the steps below it."""
        for number, step in enumerate(steps):
            place = self._program.positions.get(id(step.body[step.index]))
            if place is not None:
                return place, steps[number + 1 :]
        return len(self._program.module), steps

    def _within(self, steps: Way, live: set[str], elsewhere: Container[str]) -> list[ast.stmt]:
        """The statements of one scope, before the end of its steps, that bind what is live.

        A name that they bind is this scope's even where they bind it on a condition, but for those that are also bound
        `elsewhere`.
        """
        entries: list[ast.stmt] = []
        for step in steps:
            entries += blocks.first_items(step.owner)
            if not isinstance(step.owner, ast.ClassDef):
                entries += step.body[: step.index]
        kept = blocks.bindings(entries, live)
        own = {name for statement in entries for name in self._program.bound(statement)}
        live -= {name for name in own if name not in elsewhere}
        return kept

    def _own(
        self, function: arguments.Function, way: Way, nodes: Sequence[ast.AST], live: set[str], depth: int
    ) -> list[ast.stmt] | None:
        """Assignments to a stand-in for `self` of the attributes that are read; None where more is needed of it."""
        plain = [*function.args.posonlyargs, *function.args.args]
        owner = way[-1].owner
        if not isinstance(owner, ast.ClassDef) or not plain or plain[0].arg not in live:
            return []
        name = plain[0].arg
        every = [node for root in nodes for node in ast.walk(root)]
        read = [node.attr for node in every if isinstance(node, ast.Attribute) and _is_name(node.value, name)]
        if depth >= DEPTH or len(read) != sum(_is_name(node, name) for node in every):
            return None
        kept: list[ast.stmt] = []
        for attribute in dict.fromkeys(read):
            if (id(owner), attribute) in self._attributes:
                continue
            self._attributes.add((id(owner), attribute))
            values = self._program.attributes.get((id(owner), attribute), [])
            made = self.around(values[0][1], [values[0][0]], depth + 1) if values else None
            if made is None:
                return None
            target = ast.Attribute(ast.Name(name, ast.Load()), attribute, ast.Store())
            kept += [*made, ast.Assign([target], values[0][0])]
        live.discard(name)
        self._owners.add(name)
        return kept

    def _parameters(self, function: arguments.Function, way: Way, live: set[str], depth: int) -> list[ast.stmt] | None:
        """Assignments to the needed parameters of a function; None if one cannot be known."""
        signature = function.args
        plain = [item.arg for item in [*signature.posonlyargs, *signature.args, *signature.kwonlyargs]]
        wanted = [name for name in plain if name in live]
        if any(item is not None and item.arg in live for item in (signature.vararg, signature.kwarg)):
            return None
        live.difference_update(wanted)
        values = {name: value for name, value in arguments.parametrized(function).items() if name in wanted}
        rest = [name for name in wanted if name not in values]
        kept, known = self._from_site(function, way, rest, depth) if rest and depth < DEPTH else ([], set())
        defaults = arguments.defaults(function)
        for name in rest:
            if name in known:
                continue
            if name in defaults:
                values[name] = defaults[name]
                continue
            made = self._fixture(name, depth)
            if made is None:
                return None
            kept += made
        live |= _names(values.values())
        return [*kept, *_assigned(values)]

    def _from_site(
        self, function: arguments.Function, way: Way, wanted: Sequence[str], depth: int
    ) -> tuple[list[ast.stmt], set[str]]:
        """Assignments of the arguments in the first call of a function that can be followed, and to which names."""
        defaults = arguments.defaults(function)
        for site, method in _sites(self._program, function, way):
            given = arguments.passed(function, site.call, method)
            if given is None or any(name not in given and name not in defaults for name in wanted):
                continue
            state = self._state()
            found = {name: given[name] for name in wanted if name in given}
            made = self.around(site.way, found.values(), depth + 1)
            if made is not None and not self.unknown():
                return [*made, *_assigned(found)], set(found)
            vars(self).update(state)
        return [], set()

    def _state(self) -> dict[str, object]:
        """What has been collected, to come back to where a call cannot be followed."""
        return {name: copy.deepcopy(value) for name, value in vars(self).items() if name != "_program"}

    def _fixture(self, name: str, depth: int) -> list[ast.stmt] | None:
        """Assignments that make a pytest fixture of this file and those that it takes; None if there is none."""
        function = next((item for item, _ in self._program.functions.get(name, ()) if arguments.is_fixture(item)), None)
        if function is None or depth >= DEPTH:
            return None
        if name in self._fixtures:
            return []
        self._fixtures.add(name)
        kept: list[ast.stmt] = []
        taken = [item.arg for item in function.args.args if item.arg not in arguments.defaults(function)]
        for other in taken:
            made = self._fixture(other, depth + 1)
            if made is None:
                return None
            kept += made
        self._need({name}, len(self._program.module))
        keywords = [ast.keyword(other, ast.Name(other, ast.Load())) for other in taken]
        call: ast.expr = ast.Call(ast.Name(name, ast.Load()), [], keywords)
        if arguments.is_generator(function):
            call = ast.Subscript(ast.List([ast.Starred(call, ast.Load())], ast.Load()), ast.Constant(0), ast.Load())
        return [*kept, *_assigned({name: call})]

    def _need(self, names: Iterable[str], end: int) -> None:
        """Note the statements of the module before `end` that bind these names, with what they need in turn."""
        waiting = [(name, end) for name in names]
        while waiting:
            asked = waiting.pop()
            if asked in self._asked:
                continue
            self._asked.add(asked)
            name, before = asked
            places = self._binders(name, before)
            if not places:
                self._missing.add(name)
                continue
            if name in self._program.shared and _is_placeholder(self._program.module[places[0]]):
                self._set_elsewhere.add(name)
                continue
            changes = [place for place in self._program.changers.get(name, ()) if places[-1] < place < before]
            for place in (*places, *changes):
                waiting += self._choose(place, name, end)

    def _binders(self, name: str, before: int) -> list[int]:
        """The places of the statements that decide a name at a place, the last first."""
        module = self._program.module
        every = self._program.binders.get(name, ())
        found: list[int] = []
        for place in reversed([place for place in every if place < before]):
            found.append(place)
            if blocks.settles(module[place]):
                break
        if not found:
            found = [place for place in every if isinstance(module[place], _DEFINITIONS)][-1:]
        return found

    def _choose(self, place: int, name: str, end: int) -> Iterator[tuple[str, int]]:
        statement = self._program.module[place]
        names = self._chosen.setdefault(place, set())
        names.add(name)
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            at_once = header_names(statement)
            yield from ((inner, place) for inner in at_once)
            yield from ((inner, end) for inner in free_names(statement) - at_once)
            return
        piece = blocks.pruned(statement, names)
        if piece is not None:
            yield from ((inner, place) for inner in free_names(piece))

    def unknown(self) -> set[str]:
        """Needed names that nothing in the file binds, which a star import may have, and those that only a function
        gives a value.
        """
        return self._set_elsewhere if self._program.stars else self._set_elsewhere | (self._missing - _BUILT_IN)

    def of_module(self) -> list[ast.stmt]:
        """The chosen statements of the module in their order."""
        module = self._program.module
        stars = self._program.stars if self._missing - _BUILT_IN else []
        pieces = {place: blocks.pruned(module[place], names) for place, names in self._chosen.items()}
        pieces.update({place: module[place] for place in stars})
        kept = [piece for _, piece in sorted(pieces.items(), key=lambda item: item[0]) if piece is not None]
        return [*kept, *(_stand_in(name) for name in sorted(self._owners))]


def _names(expressions: Iterable[ast.expr]) -> set[str]:
    return {name for expression in expressions for name in free_names(expression)}


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_placeholder(statement: ast.stmt) -> bool:
    """Whether a statement is ``name = None``: where a function assigns the name, that is not what others find in it."""
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    return isinstance(value, ast.Constant) and value.value is None


def _stand_in(name: str) -> ast.stmt:
    """An assignment of an object that takes attributes."""
    return ast.parse(f"{name} = type({name!r}, (), {{}})()").body[0]


def _parameters_of(owner: ast.AST) -> tuple[str, ...]:
    return parameters(owner.args) if isinstance(owner, FUNCTIONS) else ()


def _assigned(values: Mapping[str, ast.expr]) -> list[ast.stmt]:
    """One assignment for all: an argument may be spelled with the name of another parameter."""
    values = {name: value for name, value in values.items() if not _is_name(value, name)}
    if not values:
        return []
    if len(values) == 1:
        ((name, value),) = values.items()
        return [ast.Assign([ast.Name(name, ast.Store())], value)]
    targets = ast.Tuple([ast.Name(name, ast.Store()) for name in values], ast.Store())
    return [ast.Assign([targets], ast.Tuple(list(values.values()), ast.Load()))]


def _before(way: Way, function: ast.AST) -> Way:
    """The part of a way that leads to a function's definition."""
    number = next(number for number, step in enumerate(way) if step.owner is function)
    return way[:number]


def _sites(program: Program, function: arguments.Function, way: Way) -> list[tuple[Site, bool]]:
    """Calls that may be of this function, and whether they leave `self` out."""
    if not isinstance(way[-1].owner, ast.ClassDef):
        plain = [site for site in program.sites.get(function.name, ()) if isinstance(site.call.func, ast.Name)]
        return [(site, False) for site in plain[:SITES]]
    if function.name == "__init__":
        return [(site, True) for site in program.sites.get(way[-1].owner.name, ())[:SITES]]
    bound = [site for site in program.sites.get(function.name, ()) if isinstance(site.call.func, ast.Attribute)]
    return [(site, True) for site in bound[:SITES]] if not function.name.startswith("__") else []


def _drawn(nodes: Sequence[ast.AST], kept: Sequence[ast.stmt]) -> str:
    """The iterable of the innermost loop over a loader, or of a `next(…)`."""
    for node in reversed(nodes):
        if isinstance(node, ast.For) and blocks.is_first_item(node):
            loader = _loader(node.iter)
            if loader is not None:
                return ast.unparse(loader)
    straight = [item for item in kept if not isinstance(item, (*FUNCTIONS, ast.ClassDef))]
    for root in (*straight, *(node for node in nodes if isinstance(node, ast.expr))):
        for node in ast.walk(root):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next" and node.args:
                loader = _loader(node.args[0])
                if loader is not None:
                    return ast.unparse(loader)
    return ""


def _loader(node: ast.expr) -> ast.expr | None:
    """What gives real items, inside of `enumerate(…)` and the like; None for numbers and literal sequences."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Constant, ast.Dict, ast.ListComp)):
        return None
    if isinstance(node, ast.Call):
        name = last_part(node.func)
        if name in _NO_LOADERS:
            return None
        if name in _WRAPPERS and node.args:
            return _loader(node.args[0])
    return node
