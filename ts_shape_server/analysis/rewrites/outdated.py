"""Spellings that TorchScript lacks and that have an equal one it takes: what torch has outgrown, and what Python says
in a way of its own.

Refused: legacy-variable
Input: x=[2, 3]

Before:
    from torch import nn
    from torch.autograd import Variable


    class Net(nn.Module):
        def forward(self, x):
            return Variable(x) * 2.0

After:
    from torch import nn
    from torch.autograd import Variable


    class Net(nn.Module):
        def forward(self, x):
            return x * 2.0

Refused: f-string
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if x.dim() != 2:
                raise ValueError(f"{x.dim()!r} dims")
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if x.dim() != 2:
                raise ValueError("{} dims".format(x.dim()))
            return x

Refused: set
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if x.dim() in {2, 3}:
                x = x * 2.0
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if x.dim() in [2, 3]:
                x = x * 2.0
            return x

Refused: is-tensor
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if torch.is_tensor(x):
                x = x * 2.0
            return x

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if isinstance(x, torch.Tensor):
                x = x * 2.0
            return x
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation, holdable
from ts_shape_server.contract.places import Range, TextEdit

_MATH = frozenset({"sqrt", "exp", "log", "log2", "log10", "ceil", "floor", "pi", "e", "sin", "cos", "tan"})
_DTYPES = {"torch.Tensor": "float32", "torch.FloatTensor": "float32", "torch.LongTensor": "int64"}


def variables(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``Variable(x)`` is `x`."""
    edits = []
    for node in ast.walk(place.function):
        if not isinstance(node, ast.Call) or not situation.means(
            node.func, "torch.autograd.Variable", "torch.autograd.variable.Variable"
        ):
            continue
        plain = all(_is_off(item) for item in node.keywords)
        if len(node.args) == 1 and plain and situation.type_of(node.args[0]) in ("Tensor", None):
            inner = node.args[0]
            simple = isinstance(inner, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
            text = situation.text(inner)
            edits.append(situation.replace(node, text if simple else f"({text})"))
    if edits:
        yield Rewrite("variable-removed", "Take `Variable` out: it is a Tensor", tuple(edits))


def _is_off(item: ast.keyword) -> bool:
    if item.arg == "volatile":
        return True
    return item.arg == "requires_grad" and isinstance(item.value, ast.Constant) and item.value.value is False


def new_tensors(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``x.new(2, 3)`` as ``x.new_empty([2, 3])``, ``torch.Tensor([1.0])`` as ``torch.tensor([1.0])``."""
    made: dict[str, list[TextEdit]] = {}
    torch, imports = situation.import_of("torch")
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.Call) or node.keywords:
            continue
        kinds = [situation.type_of(item) for item in node.args]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "new" and node.args:
            sizes = ", ".join(situation.text(item) for item in node.args)
            if all(kind == "int" for kind in kinds):
                text = f"{situation.text(node.func.value)}.new_empty([{sizes}])"
                made.setdefault("Write `new` as `new_empty`", []).append(situation.replace(node, text))
        elif situation.means(node.func, *_DTYPES) and len(kinds) == 1 and (kinds[0] or "").startswith("List["):
            dtype = _DTYPES[situation.path_of(node.func)]
            text = f"{torch}.tensor({situation.text(node.args[0])}, dtype={torch}.{dtype})"
            title = f"Write `{situation.text(node.func)}` as `torch.tensor`"
            made.setdefault(title, list(imports)).append(situation.replace(node, text))
    for title, edits in made.items():
        yield Rewrite("torch-tensor", title, tuple(edits))


def private_names(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.__conv`` is `_Net__conv` to everyone but this class: TorchScript does not know Python's mangling."""
    said = place.says("attribute-missing", "attribute-unsupported", "attribute-function", "attribute-first-set")
    if place.owner is None or said is None or not said.fact("attribute").startswith("__"):
        return
    edits = []
    for node in ast.walk(place.function):
        private = isinstance(node, ast.Attribute) and node.attr.startswith("__") and not node.attr.endswith("__")
        if not private or not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id == "self":
            edits.append(situation.replace(node, f"self._{place.owner.name.lstrip('_')}{node.attr}"))
    if edits:
        yield Rewrite("private-names", "Write private names as Python stores them", tuple(edits))


def numbers(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """numpy's functions of one number as those of `math`."""
    name, imports = situation.import_of("math")
    edits = []
    for node in ast.walk(place.statement):
        path = situation.path_of(node) if isinstance(node, (ast.Attribute, ast.Name)) else ""
        word = path.removeprefix("numpy.")
        if word not in _MATH or path == word:
            continue
        call = situation.parents.get(node)
        if isinstance(call, ast.Call) and call.func is node:
            kinds = {situation.type_of(item) for item in call.args}
            if not kinds <= {"int", "float"} or word in ("ceil", "floor"):
                continue
        edits.append(situation.replace(node, f"{name}.{word}"))
    if edits:
        yield Rewrite("math-functions", "Use `math` for plain numbers", (*edits, *imports))


def plain_texts(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """An f-string with formats or conversions, in what is raised or asserted, with its plain values."""
    if not isinstance(place.statement, (ast.Raise, ast.Assert, ast.Expr)):
        return
    for node in ast.walk(place.statement):
        if isinstance(node, ast.JoinedStr):
            values = [item for item in node.values if isinstance(item, ast.FormattedValue)]
            texts = "".join(
                str(item.value).replace("{", "{{").replace("}", "}}") if isinstance(item, ast.Constant) else "{}"
                for item in node.values
            )
            arguments = ", ".join(ast.unparse(item.value) for item in values)
            quoted = _quoted(situation, node, texts)
            text = f"{quoted}.format({arguments})" if values else quoted
            lost = [item for item in map(_formatting, values) if item]
            without = f" (it is printed without {', '.join(f'`{item}`' for item in lost)})" if lost else ""
            yield Rewrite(
                "format-call", f"Write the f-string with plain `format`{without}", (situation.replace(node, text),)
            )


def _formatting(value: ast.FormattedValue) -> str:
    """How a value of an f-string is formatted, such as ``!r`` or ``:.3f``; empty if plainly."""
    conversion = f"!{chr(value.conversion)}" if value.conversion != -1 else ""
    return conversion + (f":{ast.unparse(value.format_spec)[2:-1]}" if value.format_spec is not None else "")


def _quoted(situation: Situation, node: ast.JoinedStr, text: str) -> str:
    """A text in the quotes that the f-string has, where they need no escapes."""
    written = situation.text(node).lstrip("fFrR")
    plain = repr(text)
    if written.startswith('"') and plain == f"'{text}'" and '"' not in text:
        return f'"{text}"'
    return plain


def sets(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``x in {…}`` as ``x in […]``."""
    if not isinstance(place.node, ast.Set):
        return
    parent = situation.parents.get(place.node)
    if isinstance(parent, ast.Compare):
        inner = situation.text(place.node)[1:-1]
        yield Rewrite(
            "list-membership", "Look into a list instead of a set", (situation.replace(place.node, f"[{inner}]"),)
        )


def starred_sizes(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``x.view(*sizes, -1)`` as ``x.view(list(sizes) + [-1])``."""
    for call in ast.walk(place.statement):
        if not isinstance(call, ast.Call) or not any(isinstance(item, ast.Starred) for item in call.args):
            continue
        if not isinstance(call.func, ast.Attribute) or situation.type_of(call.func.value) not in ("Tensor", None):
            continue
        parts = [_part(situation, item) for item in call.args]
        if all(parts):
            joined = " + ".join(part for part in parts if part)
            joined = re.sub(r"\] \+ \[", ", ", joined)
            first, last = situation.range_of(call.args[0]), situation.range_of(call.args[-1])
            span = type(first)(first.line, first.column, last.end_line, last.end_column)
            yield Rewrite(
                "sizes-as-list", f"Pass the sizes of `{call.func.attr}` as one list", (TextEdit(span, joined),)
            )


def starred_values(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``b, n, h = *x.shape, self.heads`` as two assignments."""
    statement = place.statement
    if not isinstance(statement, ast.Assign):
        return
    target, value = statement.targets[0], statement.value
    if len(statement.targets) != 1 or not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple):
        return
    names = [item.id for item in target.elts if isinstance(item, ast.Name)]
    starred = [number for number, item in enumerate(value.elts) if isinstance(item, ast.Starred)]
    read = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    if len(starred) != 1 or len(names) != len(target.elts) or read & set(names) or not situation.alone(statement):
        return
    (at,) = starred
    more = len(names) - len(value.elts) + 1
    if more < 2 or "\n" in situation.text(value):
        return
    lines = []
    for number, item in enumerate(value.elts):
        if isinstance(item, ast.Starred):
            lines.append(f"{', '.join(names[at : at + more])} = {situation.text(item.value)}")
        else:
            own = names[number if number < at else number + more - 1]
            lines.append(f"{own} = {situation.text(item)}")
    joined = (situation.source.newline + situation.indent(statement)).join(lines)
    yield Rewrite("unpack-first", "Unpack what is starred by itself", (situation.replace(statement, joined),))


def _part(situation: Situation, node: ast.expr) -> str | None:
    if not isinstance(node, ast.Starred):
        return f"[{situation.text(node)}]" if situation.type_of(node) in ("int", None) else None
    kind = situation.type_of(node.value) or ""
    return f"list({situation.text(node.value)})" if kind.startswith("List[int") and holdable(kind) else None


_IN_PLACE: dict[type, str] = {ast.Mult: "mul_", ast.Add: "add_", ast.Sub: "sub_", ast.Div: "div_"}


def set_attributes(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``w.data *= m`` as ``w.data.mul_(m)``, ``x.requires_grad = True`` as ``x.requires_grad_(True)``."""
    statement = place.statement
    if isinstance(statement, ast.AugAssign) and type(statement.op) in _IN_PLACE:
        if isinstance(statement.target, ast.Attribute) and statement.target.attr == "data":
            name, value = _IN_PLACE[type(statement.op)], situation.text(statement.value)
            text = f"{situation.text(statement.target)}.{name}({value})"
            yield Rewrite("inplace-setter", f"Write the assignment as `{name}`", (situation.replace(statement, text),))
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Attribute) and target.attr == "requires_grad":
            text = f"{situation.text(target)}_({situation.text(statement.value)})"
            yield Rewrite(
                "requires-grad", "Write the assignment as `requires_grad_`", (situation.replace(statement, text),)
            )


_TENSOR_TYPES = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int16",
    "ByteTensor": "uint8",
    "CharTensor": "int8",
    "BoolTensor": "bool",
}


def tensor_types(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``x.type(torch.FloatTensor)`` as ``x.to(torch.device("cpu"), torch.float32)``: the old types are of the CPU."""
    torch, imports = situation.import_of("torch")
    edits = []
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "type":
            continue
        if len(node.args) != 1 or node.keywords or situation.type_of(node.func.value) not in ("Tensor", None):
            continue
        dtype = _dtype_of(situation, node.args[0])
        if dtype is not None:
            called, whole = situation.range_of(node.func), situation.range_of(node)
            span = Range(called.end_line, called.end_column - len("type"), whole.end_line, whole.end_column)
            edits.append(TextEdit(span, f'to({torch}.device("cpu"), {torch}.{dtype})'))
    if edits:
        yield Rewrite("dtype-names", "Name the dtype instead of a tensor type", (*edits, *imports))


def _dtype_of(situation: Situation, node: ast.expr) -> str | None:
    path = node.value if isinstance(node, ast.Constant) else situation.path_of(node)
    if not isinstance(path, str) or not path.startswith("torch."):
        return None
    return _TENSOR_TYPES.get(path.removeprefix("torch."))


def sparse_products(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``torch.spmm(adjacency, x)`` as ``torch.mm``, which takes sparse matrices as well."""
    edits = [
        situation.replace(node.func, f"{situation.torch_name()}.mm")
        for node in ast.walk(place.function)
        if isinstance(node, ast.Call) and situation.means(node.func, "torch.spmm") and not node.keywords
    ]
    if edits:
        yield Rewrite("mm-product", "Write `spmm` as `mm`", (*edits, *situation.torch_import()))


def asked_types(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``torch.is_tensor(x)`` as ``isinstance(x, torch.Tensor)``."""
    edits = []
    for node in ast.walk(place.function):
        plain = isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords
        if plain and isinstance(node, ast.Call) and situation.means(node.func, "torch.is_tensor"):
            text = f"isinstance({situation.text(node.args[0])}, {situation.torch_name()}.Tensor)"
            edits.append(situation.replace(node, text))
    if edits:
        yield Rewrite("isinstance-tensor", "Ask for a Tensor with `isinstance`", (*edits, *situation.torch_import()))


def mapped(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``h, w = map(int, sizes)`` and ``list(map(int, sizes))`` as a comprehension."""
    edits = []
    for node in ast.walk(place.statement):
        if not _is_call(node, "map") or len(node.args) != 2 or isinstance(node.args[1], ast.Starred):
            continue
        above = situation.parents.get(node)
        item = situation.free_name("item", place.function)
        called = _applied(situation, node.args[0], item)
        text = f"[{called} for {item} in {situation.text(node.args[1])}]"
        if called and isinstance(above, ast.Assign) and isinstance(above.targets[0], (ast.Tuple, ast.List)):
            edits.append(situation.replace(node, text))
        elif called and above is not None and _is_call(above, "list") and len(above.args) == 1:
            edits.append(situation.replace(above, text))
    if edits:
        yield Rewrite("map-as-comprehension", "Write `map` as a comprehension", tuple(edits))


def _is_call(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    plain = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    return plain and not node.keywords  # type: ignore[attr-defined]  # it is a call


def _applied(situation: Situation, function: ast.expr, item: str) -> str:
    """A function of one argument called; empty for an expression that a comprehension would evaluate each time."""
    if isinstance(function, ast.Lambda):
        arguments = function.args.args
        if len(arguments) != 1 or function.args.vararg or function.args.kwarg or function.args.defaults:
            return ""
        if function.body.lineno != function.body.end_lineno:
            return ""
        return situation.text_with(function.body, {arguments[0].arg: item})
    return f"{situation.text(function)}({item})" if isinstance(function, (ast.Name, ast.Attribute)) else ""


_CHILDREN = {"items": "named_children", "values": "children"}


def children(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``layers._modules.items()`` as ``layers.named_children()``."""
    edits = []
    for node in ast.walk(place.function):
        called = node.func if isinstance(node, ast.Call) and not node.args and not node.keywords else None
        if not isinstance(called, ast.Attribute) or called.attr not in _CHILDREN:
            continue
        if isinstance(called.value, ast.Attribute) and called.value.attr == "_modules":
            text = f"{situation.text(called.value.value)}.{_CHILDREN[called.attr]}()"
            edits.append(situation.replace(node, text))
    said = place.says("attribute-missing")
    if edits and said is not None and said.fact("attribute") == "_modules":
        yield Rewrite("children-loop", "Go through the modules with `named_children` and `children`", tuple(edits))
