"""``super().forward(x)``, which TorchScript does not know: the parent's method gets a name of its own where the parent
stands in this file; of a layer of torch's it is written out.

Refused: super-call
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Linear):
        def __init__(self, act=None):
            super().__init__(3, 3)
            self.act = act

        def forward(self, x):
            if self.act is None:
                return super().forward(x)
            y = super().forward(x)
            return self.act(y)

After:
    from torch import nn


    class Net(nn.Linear):
        def __init__(self, act=None):
            super().__init__(3, 3)
            self.act = act

        def forward(self, x):
            if self.act is None:
                return nn.functional.linear(x, self.weight, self.bias)
            y = nn.functional.linear(x, self.weight, self.bias)
            return self.act(y)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit


def parents_method(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``super().forward(x)`` as ``self._base_forward(x)``: what `Base.forward` did is a method of its own there."""
    if place.owner is None:
        return
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.Call) or not is_of_super(node.func):
            continue
        assert isinstance(node.func, ast.Attribute)
        found = _defined_above(situation, place.owner, node.func.attr)
        if found is None:
            continue
        base, method = found
        called = situation.replace(node.func, "self.{}")
        passed_on = _passes_on(method)
        if passed_on is not None and situation.method(base, passed_on) is not None:
            edits = [TextEdit(called.range, f"self.{passed_on}")]
        else:
            name = situation.free_attribute(f"_{snake_case(base.name)}_{method.name.strip('_')}")
            split = renamed_method(situation, method, name)
            if split is None:
                continue
            edits = [*split, TextEdit(called.range, f"self.{name}")]
        yield Rewrite(
            "parent-method", f"Call `{base.name}.{method.name}` by a name of its own instead of `super()`", tuple(edits)
        )
        return


def snake_case(name: str) -> str:
    """``EncoderLayer`` as ``encoder_layer``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).strip("_").lower()


def is_of_super(node: ast.expr) -> bool:
    """Whether an expression is ``super().name`` or ``super(Class, self).name``."""
    inner = node.value if isinstance(node, ast.Attribute) else None
    return isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "super"


def _defined_above(situation: Situation, owner: ast.ClassDef, name: str) -> tuple[ast.ClassDef, Definition] | None:
    """The class above that `super` finds a method in, as far as each class has one base and that stands here."""
    tops = {node.name: node for node in situation.tree.body if isinstance(node, ast.ClassDef)}
    current, seen = owner, {owner.name}
    while len(current.bases) == 1 and isinstance(current.bases[0], ast.Name):
        above = tops.get(current.bases[0].id)
        if above is None or above.name in seen:
            return None
        seen.add(above.name)
        method = situation.method(above, name)
        if method is not None:
            return above, method
        current = above
    return None


def _passes_on(method: Definition) -> str | None:
    """The method that another one does nothing but call, with the same arguments."""
    last = method.body[-1]
    call = last.value if isinstance(last, ast.Return) and len(method.body) == 1 else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.keywords:
        return None
    own = isinstance(call.func.value, ast.Name) and call.func.value.id == "self"
    names = [item.id for item in call.args if isinstance(item, ast.Name)]
    same = names == [item.arg for item in method.args.args[1:]] and len(names) == len(call.args)
    return call.func.attr if own and same and not method.args.kwonlyargs else None


def renamed_method(situation: Situation, method: Definition, name: str) -> list[TextEdit] | None:
    """The method under a new name, and above it one of the old name that calls it."""
    arguments = method.args
    variadic = arguments.vararg or arguments.kwarg or arguments.posonlyargs or arguments.kwonlyargs
    if method.decorator_list or variadic or isinstance(method, ast.AsyncFunctionDef) or not arguments.args:
        return None
    if not situation.alone(method) or arguments.args[0].arg != "self":
        return None
    indent = situation.indent(method)
    step = situation.indent(method.body[0])[len(indent) :] or "    "
    result = f" -> {ast.unparse(method.returns)}" if method.returns is not None else ""
    passed = ", ".join(item.arg for item in arguments.args[1:])
    span = situation.range_of(method)
    head = situation.source.line(span.line)
    start = head.index(method.name, span.column + len("def "))
    whole = re.fullmatch(r"(\(.*\)[^()]*):\s*", head[start + len(method.name) :])
    signature = whole.group(1) if whole is not None else f"({ast.unparse(arguments)}){result}"
    lines = [f"def {method.name}{signature}:", f"{step}return self.{name}({passed})"]
    return [
        situation.above(method, [indent + line for line in lines]),
        TextEdit(Range(span.line, start, span.line, start + len(method.name)), name),
    ]


def parents_forward(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``super().forward(x)`` of a layer of torch's as the function that it calls, everywhere in the function."""
    if place.owner is None or len(place.owner.bases) != 1:
        return
    base = situation.path_of(place.owner.bases[0])
    here = set(ast.walk(place.statement))
    edits: list[TextEdit] = []
    imports: list[TextEdit] = []
    asked = False
    for node in ast.walk(place.function):
        if not isinstance(node, ast.Call) or not _is_parents_forward(node) or len(node.args) != 1 or node.keywords:
            continue
        made = layers_forward(situation, base, situation.text(node.args[0]))
        if made is not None:
            edits.append(situation.replace(node, made[0]))
            imports = made[1]
            asked = asked or node in here
    if asked:
        title = f"Write out the `forward` of `{base.rpartition('.')[2]}`"
        yield Rewrite("parent-forward", title, (*edits, *imports))


def _is_parents_forward(node: ast.Call) -> bool:
    return is_of_super(node.func) and isinstance(node.func, ast.Attribute) and node.func.attr == "forward"


def layers_forward(situation: Situation, path: str, argument: str) -> tuple[str, list[TextEdit]] | None:
    """What the `forward` of a layer of torch's computes, and the imports that it needs; None for other layers."""
    layer = path.rpartition(".")[2] if path.startswith("torch.nn.") else ""
    if layer in ("Conv1d", "Conv2d", "Conv3d"):
        return f"self._conv_forward({argument}, self.weight, self.bias)", []
    rest = {
        "Linear": "linear({}, self.weight, self.bias)",
        "LayerNorm": "layer_norm({}, self.normalized_shape, self.weight, self.bias, self.eps)",
        "GroupNorm": "group_norm({}, self.num_groups, self.weight, self.bias, self.eps)",
        "Embedding": "embedding({}, self.weight, self.padding_idx, self.max_norm, self.norm_type, "
        "self.scale_grad_by_freq, self.sparse)",
    }.get(layer)
    if rest is None:
        return None
    functional, edits = _functional(situation)
    return f"{functional}.{rest.format(argument)}", edits


def _functional(situation: Situation) -> tuple[str, list[TextEdit]]:
    """What `torch.nn.functional` is called in this file."""
    for module, after in (("torch.nn.functional", ""), ("torch.nn", ".functional"), ("torch", ".nn.functional")):
        for name, path in situation.classes.imports.items():
            if path == module:
                return f"{name}{after}", []
    return "torch.nn.functional", _module_import(situation, "torch.nn.functional")


def _module_import(situation: Situation, module: str) -> list[TextEdit]:
    """The import of torch, whose attribute every module of it is."""
    if "torch" in situation.classes.imports:
        return []
    first = next((node for node in situation.tree.body if isinstance(node, (ast.Import, ast.ImportFrom))), None)
    if first is None or (isinstance(first, ast.ImportFrom) and first.module == "__future__"):
        return []
    return [situation.before(first, f"import {module}")]


def parents_sequence(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``super().forward(x)`` of a `Sequential` as the loop that it is."""
    owner, statement = place.owner, place.statement
    if owner is None or len(owner.bases) != 1 or not situation.alone(statement):
        return
    if situation.path_of(owner.bases[0]).rpartition(".")[2] != "Sequential":
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and _is_parents_forward(node) and len(node.args) == 1 and not node.keywords:
            name = situation.free_name("output", place.function)
            step = situation.indent(place.function.body[0])[len(situation.indent(place.function)) :] or "    "
            lines = [
                f"{name} = {situation.text(node.args[0])}",
                "for module in self:",
                f"{step}{name} = module({name})",
            ]
            edits = (situation.before(statement, "\n".join(lines)), situation.replace(node, name))
            yield Rewrite("sequential-loop", "Loop over the modules as `Sequential` does", edits)
