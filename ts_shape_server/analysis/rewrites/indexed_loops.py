"""A loop over numbers that indexes modules, as a loop over the modules.

Why: TorchScript unrolls a loop over modules and cannot index them by a number that it does not know. `enumerate` gives
the same number; where a loop goes over a part of the modules, or over fewer than there are, a test in the loop says so.
Several lists that are indexed by one number are gone through with `zip`. Where a method or branch of the class leaves
the list at None, the loop stands behind a test for that, which the compiler decides. None in a list is made an
`nn.Identity`, since TorchScript leaves it out of the list.

Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = nn.ModuleList([nn.ModuleList([None, nn.Linear(3, 3)]) for _ in range(2)])

        def forward(self, x):
            for i in range(len(self.rows)):
                for j in range(1, 2):
                    x = self.rows[i][j](x)
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = nn.ModuleList([nn.ModuleList([nn.Identity(), nn.Linear(3, 3)]) for _ in range(2)])

        def forward(self, x):
            for row in self.rows:
                for j, layer in enumerate(row):
                    if 1 <= j and j < 2:
                        x = layer(x)
            return x

Refused: module-list-index

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

        def forward(self, x):
            for i in range(len(self.layers)):
                x = self.layers[i](x)
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.layers = nn.ModuleList()
            for _ in range(depth):
                self.layers.append(nn.Linear(3, 3))
            self.norms = nn.ModuleList([nn.LayerNorm(3) for _ in range(depth)])

        def forward(self, x):
            for i in range(self.depth):
                x = self.norms[i](x + self.layers[i](x))
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.layers = nn.ModuleList()
            for _ in range(depth):
                self.layers.append(nn.Linear(3, 3))
            self.norms = nn.ModuleList([nn.LayerNorm(3) for _ in range(depth)])

        def forward(self, x):
            for norm, layer in zip(self.norms, self.layers):
                x = norm(x + layer(x))
            return x

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.convs = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])
            self.norms = nn.ModuleList([nn.LayerNorm(3) for _ in range(depth)])

        def forward(self, x):
            for i in range(1, self.depth):
                # all but the first
                x = self.norms[i](self.convs[i](x)) * i
            return self.convs[0](x)

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.convs = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])
            self.norms = nn.ModuleList([nn.LayerNorm(3) for _ in range(depth)])

        def forward(self, x):
            for i, (norm, conv) in enumerate(zip(self.norms, self.convs)):
                if 1 <= i:
                    # all but the first
                    x = norm(conv(x)) * i
            return self.convs[0](x)

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.layers = self._made() if depth > 1 else None

        def _made(self):
            return nn.ModuleList([nn.Linear(3, 3) for _ in range(self.depth)])

        def forward(self, x):
            if self.depth == 1:
                return x
            for i in range(len(self.layers)):
                x = self.layers[i](x)
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.layers = self._made() if depth > 1 else None

        def _made(self):
            return nn.ModuleList([nn.Linear(3, 3) for _ in range(self.depth)])

        def forward(self, x):
            if self.depth == 1:
                return x
            if self.layers is not None:
                for layer in self.layers:
                    x = layer(x)
            return x

Before:
    from torch import nn


    class Other(nn.Module):
        def __init__(self, depth):
            super().__init__()
            self.depth = 2 * depth
            self.layers = []


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])

        def forward(self, x):
            for i in range(self.depth):
                x = self.layers[i](x)
            return x

After:
    from torch import nn


    class Other(nn.Module):
        def __init__(self, depth):
            super().__init__()
            self.depth = 2 * depth
            self.layers = []


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.depth = depth
            self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3, extra=False):
            super().__init__()
            self.depth = depth
            self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])
            if extra:
                self.layers += [nn.Linear(3, 1)]

        def forward(self, x):
            for i in range(self.depth):
                x = self.layers[i](x)
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3, extra=False):
            super().__init__()
            self.depth = depth
            self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])
            if extra:
                self.layers += [nn.Linear(3, 1)]

        def forward(self, x):
            for i, layer in enumerate(self.layers):
                if i < self.depth:
                    x = layer(x)
            return x

Left alone:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, depth=3):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(depth)])

        def forward(self, x):
            for i in range(2):
                x = self.layers[i](x)
            return self.from_the_end(x * i)

        def from_the_end(self, x):
            for i in range(2, 0, -1):
                x = self.layers[i](x)
            return x
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.list_lengths import has_one_for_each_number
from ts_shape_server.analysis.rewrites.missing_modules import as_identities
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS, stored
from ts_shape_server.contract.places import Range, TextEdit


def over_modules(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The innermost loop around the refusal whose number indexes modules in it."""
    current: ast.AST | None = place.statement
    while current is not None and not isinstance(current, FUNCTIONS):
        if isinstance(current, ast.For) and isinstance(current.target, ast.Name):
            found = _containers(situation, current, current.target.id)
            bounds = _bounds(situation, current)
            if found and bounds is not None:
                test = _test(situation, place, current.target.id, list(found), bounds)
                counted = bool(test) or _is_read(current, current.target.id, found)
                edits = _edits(situation, place, current, found, test, counted)
                listed = " and ".join(f"`{text}`" for text in found)
                how = " with `enumerate`" if counted else ""
                if edits is not None:
                    yield Rewrite("loop-over-modules", f"Loop over {listed}{how}", edits)
                return
        current = situation.parents.get(current)


def _containers(situation: Situation, loop: ast.For, index: str) -> dict[str, list[ast.Subscript]]:
    """The modules that the number of a loop indexes, by their text."""
    found: dict[str, list[ast.Subscript]] = {}
    modules: set[str] = set()
    for node in (inner for statement in loop.body for inner in ast.walk(statement)):
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Name) or node.slice.id != index:
            continue
        if not isinstance(node.value, (ast.Name, ast.Attribute)):
            continue
        kind = situation.type_of(node.value) or ""
        own = isinstance(node.value, ast.Attribute) and isinstance(node.value.value, ast.Name)
        called = isinstance(situation.parents.get(node), (ast.Call, ast.Subscript, ast.Attribute))
        found.setdefault(situation.text(node.value), []).append(node)
        if kind.startswith("!torch.nn.") or (not kind and own and called):
            modules.add(situation.text(node.value))
    # Lists that only a branch indexes may be shorter than the loop is long: such a one is not gone through with others.
    sure = [text for text in found if text in modules and any(_always(situation, loop, node) for node in found[text])]
    chosen = sure or [text for text in found if text in modules][:1]
    return {text: found[text] for text in chosen}


def _always(situation: Situation, loop: ast.For, node: ast.AST) -> bool:
    """Whether a node of a loop is read in each turn."""
    current = node
    while (above := situation.parents[current]) is not loop:
        tested = isinstance(above, (ast.If, ast.IfExp, ast.While)) and current is not above.test
        if tested or (isinstance(above, ast.BoolOp) and current is not above.values[0]):
            return False
        current = above
    return True


def _bounds(situation: Situation, loop: ast.For) -> tuple[str, str] | None:
    """The first number and the end of a loop over `range`, as texts."""
    call = loop.iter
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "range" or call.keywords or loop.orelse:
        return None
    if len(call.args) == 1:
        return "0", situation.text(call.args[0])
    if len(call.args) != 2 or not isinstance(call.args[0], ast.Constant):
        return None
    return situation.text(call.args[0]), situation.text(call.args[1])


def _edits(
    situation: Situation,
    place: Place,
    loop: ast.For,
    found: dict[str, list[ast.Subscript]],
    test: str,
    counted: bool,
) -> tuple[TextEdit, ...] | None:
    assert isinstance(loop.target, ast.Name)
    index, first = loop.target.id, loop.body[0]
    span, head = situation.range_of(loop), situation.range_of(loop.iter)
    if not situation.alone(first) or first.lineno == loop.lineno or any(map(has_long_strings, loop.body)):
        return None
    if _is_used_elsewhere(place, loop, index) or _changes(situation, loop, {index, *found}):
        return None
    outer = situation.indent(loop)
    step = situation.indent(first)[len(outer) :]
    absent = [text for text in found if _may_be_none(situation, place, text) and not _is_asked(situation, loop, text)]
    names = _item_names(situation, place, found)
    lines = _heads(index, names, step, absent, test, counted)
    line = situation.source.line(head.end_line)
    colon = line.find(":", head.end_column)
    if colon < 0:
        return None
    top = Range(span.line, span.column, head.end_line, colon + 1)
    edits = [TextEdit(top, (situation.source.newline + outer).join(lines))]
    for text, nodes in found.items():
        edits += [situation.replace(node, names[text]) for node in nodes]
    added = step * (len(lines) - 1)
    for number in range(head.end_line + 1, span.end_line + 1):
        if added and situation.source.line(number).strip():
            edits.append(TextEdit(Range(number, 0, number, 0), added))
    return (*edits, *as_identities(situation, place.owner))


def _item_names(situation: Situation, place: Place, found: dict[str, list[ast.Subscript]]) -> dict[str, str]:
    """A name for a module of each list, by the text of the list."""
    names: dict[str, str] = {}
    for text, nodes in found.items():
        name = situation.free_name(_item_name(nodes[0].value), place.function)
        names[text] = f"{name}_{len(names) + 1}" if name in names.values() else name
    return names


def _heads(index: str, names: dict[str, str], step: str, absent: list[str], test: str, counted: bool) -> list[str]:
    """The lines that stand in the place of the head of a loop, each one deeper than the one above it."""
    texts, items = list(names), list(names.values())
    single = len(texts) == 1
    over = texts[0] if single else f"zip({', '.join(texts)})"
    lines = [f"if {' and '.join(f'{text} is not None' for text in absent)}:"] if absent else []
    if counted:
        item = items[0] if single else f"({', '.join(items)})"
        lines.append(f"for {index}, {item} in enumerate({over}):")
    else:
        lines.append(f"for {', '.join(items)} in {over}:")
    if test:
        lines.append(f"if {test}:")
    return [step * number + line for number, line in enumerate(lines)]


def _is_read(loop: ast.For, index: str, found: dict[str, list[ast.Subscript]]) -> bool:
    """Whether a loop reads its number for anything but the modules."""
    replaced = {node.slice for nodes in found.values() for node in nodes}
    inside = (node for statement in loop.body for node in ast.walk(statement))
    return any(isinstance(node, ast.Name) and node.id == index and node not in replaced for node in inside)


def _is_used_elsewhere(place: Place, loop: ast.For, index: str) -> bool:
    """Whether a function reads the number of a loop outside of loops over it."""
    inside = {id(node) for node in ast.walk(loop)}
    for node in ast.walk(place.function):
        if isinstance(node, ast.For) and index in stored(node.target):
            inside |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)):
            inside |= {id(inner) for inner in ast.walk(node)}
    names = [node for node in ast.walk(place.function) if isinstance(node, ast.Name) and node.id == index]
    return any(id(node) not in inside for node in names)


def _changes(situation: Situation, loop: ast.For, texts: set[str]) -> bool:
    """Whether a loop stores its number or the modules that it goes over."""
    for node in (inner for statement in loop.body for inner in ast.walk(statement)):
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) or isinstance(node.ctx, ast.Load):
            continue
        if situation.text(node.value if isinstance(node, ast.Subscript) else node) in texts:
            return True
    return False


def _test(situation: Situation, place: Place, index: str, texts: list[str], bounds: tuple[str, str]) -> str:
    """What says that a number is one of the loop's; empty where all of the modules are gone through."""
    start, end = bounds
    parts = [f"{start} <= {index}"] if start != "0" else []
    lengths = {f"len({text})" for text in texts}
    if end not in lengths and not any(has_one_for_each_number(situation, place.owner, text, end) for text in texts):
        parts.append(f"{index} < {end}")
    return " and ".join(parts)


def _may_be_none(situation: Situation, place: Place, text: str) -> bool:
    """Whether the class leaves an attribute at None, or makes it with a method that may."""
    owner = place.owner
    if owner is None or not text.startswith("self.") or text.count(".") != 1:
        return False
    for node in ast.walk(owner):
        if not isinstance(node, ast.Assign) or text not in [situation.text(item) for item in node.targets]:
            continue
        values = [node.value]
        called = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(called, ast.Attribute) and situation.text(called.value) == "self":
            method = situation.method(owner, called.attr)
            returns = [item for item in ast.walk(method) if isinstance(item, ast.Return)] if method else []
            values += [item.value for item in returns if item.value is not None]
        for value in values:
            sides = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            if any(isinstance(side, ast.Constant) and side.value is None for side in sides):
                return True
    return False


def _is_asked(situation: Situation, loop: ast.For, text: str) -> bool:
    """Whether a loop stands in a branch that asks for None."""
    current: ast.AST | None = situation.parents.get(loop)
    while current is not None and not isinstance(current, FUNCTIONS):
        if isinstance(current, ast.If) and f"{text} is" in situation.text(current.test):
            return True
        current = situation.parents.get(current)
    return False


def _item_name(container: ast.expr) -> str:
    if not isinstance(container, ast.Attribute):
        return "layer"
    name = container.attr.strip("_")
    if name.endswith(("ches", "shes", "sses", "xes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and len(name) > 2 else f"{name}_item"
