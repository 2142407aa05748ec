"""Modules that a variable chooses, by index or by name: TorchScript only loops over modules, so the loop is written
out in a method of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.building import removal
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation, holdable
from ts_shape_server.contract.places import TextEdit


def _indexed(situation: Situation, place: Place) -> tuple[ast.expr, ast.expr] | None:
    """The container and the index at the refusal."""
    for node in [place.node, situation.parents.get(place.node), *ast.walk(place.statement)]:
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, (ast.Constant, ast.Slice)):
            kind = situation.type_of(node.value) or ""
            if kind.startswith("!torch.nn.") or (not kind and _is_own(node.value)):
                return node.value, node.slice
    return None


def _is_own(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _item_name(container: ast.expr) -> str:
    name = container.attr if isinstance(container, ast.Attribute) else "module"
    single = name[:-1] if name.endswith("s") and len(name) > 2 else f"{name}_item"
    return single.lstrip("_") or "module"


def chosen(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.layers[i](x)`` as a call of a method that goes through the modules to the one that is meant."""
    found = _indexed(situation, place)
    owner = place.owner
    if found is None or owner is None or place.function.decorator_list:
        return
    container, index = found
    subscript = situation.parents.get(container)
    call = situation.parents.get(subscript) if subscript is not None else None
    if not _is_own(container) or not isinstance(call, ast.Call) or call.func is not subscript:
        return
    if call.keywords or any(isinstance(item, ast.Starred) for item in call.args):
        return
    kinds = [_known(situation, item) for item in call.args]
    result, key = _known(situation, call), _key(situation, place, index)
    if not all(map(holdable, kinds)) or not holdable(result) or key not in ("int", "str"):
        return
    assert isinstance(container, ast.Attribute)
    name = situation.free_attribute(f"_{container.attr.strip('_')}_at", owner)
    speller = situation.spelling()
    names = ["input"] if len(kinds) == 1 else [f"input_{number + 1}" for number in range(len(kinds))]
    parameters = [f"{item}: {speller.of(kind or '')}" for item, kind in zip(names, kinds, strict=True)]
    pairs = f"self.{container.attr}.items()" if key == "str" else f"enumerate(self.{container.attr})"
    body = [
        f"def {name}({', '.join(['self', f'index: {key}', *parameters])}) -> {speller.of(result or '')}:",
        *([f"{{}}index = index if index >= 0 else index + len(self.{container.attr})"] if key == "int" else []),
        f"{{}}for position, module in {pairs}:",
        "{}{}if position == index:",
        f"{{}}{{}}{{}}return module({', '.join(names)})",
        f'{{}}raise {"IndexError" if key == "int" else "KeyError"}("{container.attr} has no such module")',
    ]
    arguments = ", ".join([situation.text(index), *(situation.text(item) for item in call.args)])
    edits = (
        new_method(situation, place, [line.replace("{}", _step(situation, place)) for line in body]),
        situation.replace(call, f"self.{name}({arguments})"),
        *speller.imports(),
    )
    yield Rewrite("module-by-index", f"Choose from `self.{container.attr}` in a method `{name}`", edits)


def named(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``getattr(self, name)(x)`` and ``self._modules[name](x)`` as a call of a method that goes through the modules to
    the one of that name.
    """
    said = place.says("getattr-name", "attribute-missing")
    if (
        said is None
        or place.owner is None
        or (said.kind == "attribute-missing" and said.fact("attribute") != "_modules")
    ):
        return
    asked, key = next(
        ((node, key) for node in ast.walk(place.statement) if (key := _name_asked_for(node)) is not None), (None, None)
    )
    if not isinstance(asked, ast.expr) or key is None or place.function.decorator_list:
        return
    statement = place.statement
    if isinstance(statement, ast.Assign) and statement.value is asked and isinstance(statement.targets[0], ast.Name):
        calls = _calls_of(situation, place, statement.targets[0].id)
        block = situation.block_of(statement) or []
        removed = len(block) > 1 and situation.alone(statement) and len(statement.targets) == 1
        edits = [removal(situation, statement)] if removed else []
    else:
        above = situation.parents.get(asked)
        calls = [above] if isinstance(above, ast.Call) and above.func is asked else None
        edits, removed = [], True
    if not calls or not removed:
        return
    kinds = {tuple(_known(situation, item) for item in [*call.args, call]) for call in calls}
    if len(kinds) != 1 or not all(map(holdable, next(iter(kinds)))) or any(not _is_simple(call) for call in calls):
        return
    *arguments, result = [kind or "" for kind in next(iter(kinds))]
    name = situation.free_attribute("_module_named", place.owner)
    speller = situation.spelling()
    names = ["input"] if len(arguments) == 1 else [f"input_{number + 1}" for number in range(len(arguments))]
    parameters = [f"{item}: {speller.of(kind)}" for item, kind in zip(names, arguments, strict=True)]
    body = [
        f"def {name}({', '.join(['self', 'name: str', *parameters])}) -> {speller.of(result)}:",
        "{}for child_name, module in self.named_children():",
        "{}{}if child_name == name:",
        f"{{}}{{}}{{}}return module({', '.join(names)})",
        f"{{}}raise {'AttributeError' if isinstance(asked, ast.Call) else 'KeyError'}(name)",
    ]
    edits.append(new_method(situation, place, [line.replace("{}", _step(situation, place)) for line in body]))
    for call in calls:
        passed = ", ".join(situation.text(item) for item in [key, *call.args])
        edits.append(situation.replace(call, f"self.{name}({passed})"))
    title = f"Find the module that `{situation.text(asked)}` means in a method `{name}`"
    yield Rewrite("module-by-name", title, (*edits, *speller.imports()))


def _name_asked_for(node: ast.AST) -> ast.expr | None:
    """The name in ``getattr(self, name)`` or ``self._modules[name]`` that is no literal."""
    if isinstance(node, ast.Subscript):
        own = isinstance(node.value, ast.Attribute) and node.value.attr == "_modules" and _is_own(node.value)
        return node.slice if own and not isinstance(node.slice, (ast.Constant, ast.Slice)) else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "getattr":
        return None
    own = len(node.args) == 2 and isinstance(node.args[0], ast.Name) and node.args[0].id == "self"
    return node.args[1] if own and not isinstance(node.args[1], ast.Constant) else None


def _is_simple(call: ast.Call) -> bool:
    return not call.keywords and not any(isinstance(item, ast.Starred) for item in call.args)


def _calls_of(situation: Situation, place: Place, name: str) -> list[ast.Call] | None:
    """The calls of a local name; None where it is anything else as well."""
    calls: list[ast.Call] = []
    stores = 0
    for node in ast.walk(place.function):
        if not isinstance(node, ast.Name) or node.id != name:
            continue
        above = situation.parents.get(node)
        if isinstance(node.ctx, ast.Store):
            stores += 1
        elif isinstance(above, ast.Call) and above.func is node:
            calls.append(above)
        else:
            return None
    return calls if stores == 1 else None


def _known(situation: Situation, node: ast.expr) -> str | None:
    """The type of an expression; where it never ran, what modules most often take and give."""
    return situation.type_of(node) or ("Tensor" if situation.idle(node) else None)


def _key(situation: Situation, place: Place, index: ast.expr) -> str | None:
    """The type of an index; where it never ran, that of the name elsewhere."""
    kind = situation.type_of(index)
    if kind is None and isinstance(index, ast.Name) and situation.idle(index):
        kind = situation.type_of_name(place.function, index.id) or "int"
    return kind


def _step(situation: Situation, place: Place) -> str:
    outer = situation.indent(place.function)
    return situation.indent(place.function.body[0])[len(outer) :] or "    "


def new_method(situation: Situation, place: Place, lines: list[str]) -> TextEdit:
    """A new method above the one that a refusal stands in."""
    indent = situation.indent(place.function)
    return situation.above(place.function, [indent + line for line in lines])


def unpacked(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``for norm, layer in self.pairs`` over modules that hold modules: the parts are indexed in the loop."""
    loop = place.statement
    if not isinstance(loop, ast.For):
        return
    if not isinstance(loop.target, ast.Tuple) or not (situation.type_of(loop.iter) or "!torch.nn.").startswith(
        "!torch."
    ):
        return
    names = [item.id for item in loop.target.elts if isinstance(item, ast.Name)]
    if len(names) != len(loop.target.elts) or len(set(names)) != len(names):
        return
    uses = [node for node in ast.walk(place.function) if isinstance(node, ast.Name) and node.id in names]
    inside = {node for statement in loop.body for node in ast.walk(statement)}
    targets = set(loop.target.elts)
    if any(node not in targets and (node not in inside or not isinstance(node.ctx, ast.Load)) for node in uses):
        return
    name = situation.free_name(_item_name(loop.iter), place.function)
    edits = [situation.replace(loop.target, name)]
    edits += [situation.replace(node, f"{name}[{names.index(node.id)}]") for node in uses if node not in targets]
    yield Rewrite("tuple-items", f"Index the parts of each of `{situation.text(loop.iter)}`", tuple(edits))
