'''``super().forward(x)`` of a mixin, that calls the layer which stands behind it in each class that inherits from both.

Why: TorchScript does not know `super`. What it finds depends on the class of the object: each class that combines the
mixin with a layer says what the call means there, and the mixin keeps the general answer for all others.

Refused: super-call
Input: x=[2, 5, 3]

Before:
    from torch import nn


    class Flat(nn.Module):
        def forward(self, input):
            if input.dim() <= 2:
                return super(Flat, self).forward(input)
            n, length = input.size(0), input.size(1)
            return super(Flat, self).forward(input.view(n * length, -1)).view(n, length, -1)


    class Linear(Flat, nn.Linear):
        pass


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = Linear(3, 4)

        def forward(self, x):
            return self.fc(x)

After:
    from torch import nn


    class Flat(nn.Module):
        def _inner_forward(self, input):
            return super().forward(input)

        def forward(self, input):
            if input.dim() <= 2:
                return self._inner_forward(input)
            n, length = input.size(0), input.size(1)
            return self._inner_forward(input.view(n * length, -1)).view(n, length, -1)


    class Linear(Flat, nn.Linear):
        def _inner_forward(self, input):
            return nn.functional.linear(input, self.weight, self.bias)


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = Linear(3, 4)

        def forward(self, x):
            return self.fc(x)

Before:
    from torch import nn


    class Residual:
        def forward(self, x):
            return x + super().forward(x)


    class Doubled(nn.Module):
        def forward(self, x):
            return x * 2.0


    class Net(Residual, Doubled):
        """Both."""

After:
    from torch import nn


    class Residual:
        def _inner_forward(self, x):
            return super().forward(x)

        def forward(self, x):
            return x + self._inner_forward(x)


    class Doubled(nn.Module):
        def forward(self, x):
            return self._doubled_forward(x)

        def _doubled_forward(self, x):
            return x * 2.0


    class Net(Residual, Doubled):
        """Both."""

        def _inner_forward(self, x):
            return self._doubled_forward(x)

Left alone:
    from torch import nn


    class Flat(nn.Module):
        def forward(self, input):
            return super(Flat, self).forward(input.flatten(1))


    class Recurrent(Flat, nn.LSTM):
        pass
'''

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.parents import is_of_super, layers_forward, renamed_method, snake_case
from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit


def layer_behind(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The calls of `super` in a method of a mixin as one method, which each class of the file answers for itself."""
    owner, function = place.owner, place.function
    if owner is None or function.decorator_list or isinstance(function, ast.AsyncFunctionDef):
        return
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and is_of_super(node.func)]
    if not calls or any(_name(call) != function.name or call.keywords for call in calls) or function.name != "forward":
        return
    counts = {len(call.args) for call in calls}
    parameters = [item.arg for item in function.args.args[1:]]
    if len(counts) != 1 or counts == {0} or any(isinstance(item, ast.Starred) for call in calls for item in call.args):
        return
    names = parameters[: counts.pop()]
    heirs = [node for node in situation.tree.body if isinstance(node, ast.ClassDef) and node is not owner]
    heirs = [node for node in heirs if owner in _order(situation, node)]
    if len(names) != len(calls[0].args) or not heirs or all(len(item.bases) == 1 for item in heirs):
        return
    wanted = situation.free_attribute("_inner_forward", owner)
    edits = [situation.replace(call.func, f"self.{wanted}") for call in calls]
    edits.append(_method_above(situation, function, wanted, names, f"super().{function.name}({', '.join(names)})"))
    for heir in heirs:
        made = _answer(situation, owner, heir, wanted, names)
        if made is None:
            return
        edits += made
    title = f"Name what `{owner.name}.forward` calls by `super()` in each class that inherits from it"
    yield Rewrite("mixin-layer", title, tuple(dict.fromkeys(edits)))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _order(situation: Situation, made: ast.ClassDef) -> list[ast.ClassDef | str]:
    """The classes in which a method of a class is looked for, in order: those of this file, and the paths of others."""
    tops = {node.name: node for node in situation.tree.body if isinstance(node, ast.ClassDef)}
    found: list[ast.ClassDef | str] = []
    waiting: list[ast.ClassDef | str] = [made]
    while waiting:
        current = waiting.pop(0)
        found.append(current)
        if len(found) > 50:
            return []
        if isinstance(current, ast.ClassDef):
            paths = [ast.unparse(base) for base in current.bases]
            bases = zip(current.bases, paths, strict=True)
            waiting[:0] = [tops.get(path) or situation.path_of(base) for base, path in bases]
    # Each class stands behind all that inherit from it.
    return [item for place, item in enumerate(found) if item not in found[place + 1 :]]


def _answer(
    situation: Situation, mixin: ast.ClassDef, heir: ast.ClassDef, name: str, parameters: list[str]
) -> list[TextEdit] | None:
    """The method of a class that calls what stands behind the mixin; None where that is not known."""
    order = _order(situation, heir)
    for behind in order[order.index(mixin) + 1 :]:
        if isinstance(behind, ast.ClassDef):
            method = situation.method(behind, "forward")
            if method is None:
                continue
            renamed = f"_{snake_case(behind.name)}_forward"
            if situation.free_attribute(renamed) != renamed:
                return None
            split = renamed_method(situation, method, renamed)
            text = f"self.{renamed}({', '.join(parameters)})"
            return None if split is None else [*split, _method_in(situation, heir, name, parameters, text)]
        if behind.startswith("torch.nn.") and behind != "torch.nn.Module":
            layer = layers_forward(situation, behind, parameters[0]) if len(parameters) == 1 else None
            if layer is None:
                return None
            return [_method_in(situation, heir, name, parameters, layer[0]), *layer[1]]
        if behind not in ("torch.nn.Module", "object", "abc.ABC"):
            return None
    return None


def _lines(indent: str, step: str, name: str, parameters: list[str], text: str) -> list[str]:
    return [f"{indent}def {name}({', '.join(['self', *parameters])}):", f"{indent}{step}return {text}"]


def _method_above(situation: Situation, function: Definition, name: str, parameters: list[str], text: str) -> TextEdit:
    indent = situation.indent(function)
    step = situation.indent(function.body[0])[len(indent) :] or "    "
    return situation.above(function, _lines(indent, step, name, parameters, text))


def _method_in(situation: Situation, made: ast.ClassDef, name: str, parameters: list[str], text: str) -> TextEdit:
    """A method at the end of a class, or in the place of the `pass` that is all it has."""
    last = made.body[-1]
    inner = situation.indent(last) if last.lineno > made.lineno else "    "
    lines = _lines(inner, "    ", name, parameters, text)
    newline = situation.source.newline
    if isinstance(last, ast.Pass) and last.lineno > made.lineno:
        return situation.replace(last, newline.join(lines).lstrip())
    span = situation.range_of(last)
    column = len(situation.source.line(span.end_line))
    end = Range(span.end_line, column, span.end_line, column)
    if isinstance(last, ast.Pass):
        return TextEdit(Range(span.line, span.column - 1, span.end_line, column), newline + newline.join(lines))
    return TextEdit(end, 2 * newline + newline.join(lines))
