"""Lambdas and partial functions that a factory, a dict or a choice gives to an attribute.

Why: TorchScript takes a named function as an attribute, and a module, but no lambda and no partial function. Where a
factory makes one at each call, a partial function of torch's that is a layer becomes that layer (it has no weights, so
that checkpoints load as before). One that the file makes once stays a function, as a module would be shared by all that
take it; so does one in a file that lists the children of modules. A function gets a name if it takes nothing from
around it.

Refused: attribute-unsupported attribute=act
Input: x=[2, 3]

Before:
    from functools import partial

    import torch
    import torch.nn.functional as F
    from torch import nn


    def activation(name, slope=0.2):
        if name == "relu":
            return F.relu
        if name == "leaky":
            return partial(F.leaky_relu, negative_slope=slope)
        if name == "elu":
            return lambda x: F.elu(x, slope)
        if name == "swish":
            return lambda x: x * torch.sigmoid(x)
        return lambda x: x


    class Net(nn.Module):
        def __init__(self, name="leaky"):
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.act = activation(name)

        def forward(self, x):
            return self.act(self.fc(x))

After:
    import torch
    import torch.nn.functional as F
    from torch import nn


    def swish(x):
        return x * torch.sigmoid(x)


    def activation(name, slope=0.2):
        if name == "relu":
            return F.relu
        if name == "leaky":
            return nn.LeakyReLU(negative_slope=slope)
        if name == "elu":
            return nn.ELU(slope)
        if name == "swish":
            return swish
        return nn.Identity()


    class Net(nn.Module):
        def __init__(self, name="leaky"):
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.act = activation(name)

        def forward(self, x):
            return self.act(self.fc(x))

Before:
    from functools import partial, reduce

    import torch
    import torch.nn.functional as F
    from torch import nn

    ACTIVATIONS = {
        "relu": torch.relu,
        "mish": lambda x: x * torch.tanh(F.softplus(x)),
        "leaky": partial(F.leaky_relu, negative_slope=0.3),
        "same": lambda x: x,
    }


    class Net(nn.Module):
        def __init__(self, name="mish"):
            super().__init__()
            self.act = ACTIVATIONS[name]
            self.out = ACTIVATIONS["leaky"]

        def forward(self, x):
            return self.out(self.act(x))

After:
    from functools import reduce

    import torch
    import torch.nn.functional as F
    from torch import nn


    def mish(x):
        return x * torch.tanh(F.softplus(x))


    def leaky(x):
        return F.leaky_relu(x, negative_slope=0.3)


    def same(x):
        return x


    ACTIVATIONS = {
        "relu": torch.relu,
        "mish": mish,
        "leaky": leaky,
        "same": same,
    }


    class Net(nn.Module):
        def __init__(self, name="mish"):
            super().__init__()
            self.act = ACTIVATIONS[name]
            self.out = ACTIVATIONS["leaky"]

        def forward(self, x):
            return self.out(self.act(x))

Left alone:
    from functools import partial

    import torch.nn.functional as F
    from torch import nn


    def activation(slope):
        return partial(F.leaky_relu, negative_slope=slope)


    class Net(nn.Module):
        def __init__(self, slope=0.1):
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.act = activation(slope)

        def weights(self):
            return [item.weight for item in self.children()]

        def forward(self, x):
            return self.act(self.fc(x))

Left alone:
    from torch import nn


    def scaled(times):
        return lambda x: x * times


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = scaled(2.0)

        def forward(self, x):
            return self.act(x)
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.imports import without_import
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import Range, TextEdit

_LAYERS = {
    "leaky_relu": ("LeakyReLU", ("negative_slope", "inplace")),
    "elu": ("ELU", ("alpha", "inplace")),
    "celu": ("CELU", ("alpha", "inplace")),
    "gelu": ("GELU", ("approximate",)),
    "relu": ("ReLU", ("inplace",)),
    "relu6": ("ReLU6", ("inplace",)),
    "selu": ("SELU", ("inplace",)),
    "silu": ("SiLU", ("inplace",)),
    "hardtanh": ("Hardtanh", ("min_val", "max_val", "inplace")),
    "softplus": ("Softplus", ("beta", "threshold")),
    "softmax": ("Softmax", ("dim",)),
    "log_softmax": ("LogSoftmax", ("dim",)),
    "glu": ("GLU", ("dim",)),
}
"""Functions of torch's with the layer that is the same, and the parameters that both have in this order."""
_DEPTH = 3


@dataclass(frozen=True)
class _Value:
    """An expression that may be what an attribute holds, and the name that is nearest to it."""

    node: ast.expr
    name: str


def named_functions(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """Every lambda and partial function that the attribute may get, all together."""
    owner = place.owner
    said = place.says("attribute-unsupported", "attribute-function", "attribute-missing")
    if owner is None or said is None:
        return
    attribute = said.fact("attribute")
    values = list(dict.fromkeys(_values(situation, owner, attribute)))
    direct = {item.value for item in ast.walk(owner) if isinstance(item, ast.Assign)}
    wanted = [item for item in values if _is_nameless(situation, item.node)]
    if not wanted or any(item.node in direct for item in wanted):
        return
    work = _Replacements(situation, attribute)
    if all(work.add(item) for item in wanted):
        yield Rewrite(
            "named-function", f"Give `self.{attribute}` functions with names and layers", tuple(work.all_edits())
        )


class _Replacements:
    """The edits of all values; functions that are new stand above the statement that first named them."""

    def __init__(self, situation: Situation, attribute: str) -> None:
        self.situation = situation
        self.attribute = attribute
        self.edits: list[TextEdit] = []
        self.above: dict[ast.stmt, list[str]] = {}
        self.names: set[str] = set()
        self.layers = False
        self.replaced: list[ast.expr] = []

    def add(self, value: _Value) -> bool:
        """Whether there is a layer or a named function for a value."""
        node = value.node
        self.replaced.append(node)
        layer = _layer(self.situation, node)
        if layer and self.situation.function_of(node) is not None and not _lists_children(self.situation):
            self.layers = True
            self.edits.append(self.situation.replace(node, f"{self._nn()}.{layer}"))
            return True
        written = _as_function(self.situation, node)
        top = self._top(node)
        if written is None or top is None or node.lineno != node.end_lineno:
            return False
        wanted = re.sub(r"\W+", "_", value.name).strip("_").lower()
        known = wanted.isidentifier() and value.name != self.attribute
        name = self.situation.free_name(wanted if known else f"{self.attribute}_function")
        if name in self.names or hasattr(builtins, name):
            name = self.situation.free_name(f"{self.attribute}_{len(self.names) + 1}")
        self.names.add(name)
        parameters, result = written
        self.above.setdefault(top, []).append(f"def {name}({parameters}):\n    return {result}")
        self.edits.append(self.situation.replace(node, name))
        return True

    def _nn(self) -> str:
        return self.situation.import_of("torch.nn")[0]

    def _top(self, node: ast.AST) -> ast.stmt | None:
        current: ast.AST | None = node
        while current is not None and current not in self.situation.tree.body:
            current = self.situation.parents.get(current)
        return current if isinstance(current, ast.stmt) else None

    def all_edits(self) -> Iterator[TextEdit]:
        yield from self.edits
        newline = self.situation.source.newline
        for top, functions in self.above.items():
            first = min([top.lineno, *(item.lineno for item in getattr(top, "decorator_list", ()))])
            text = "".join(function.replace("\n", newline) + newline * 3 for function in functions)
            # Two empty lines above a function, where there are fewer.
            before = [self.situation.source.line(first - back).strip() for back in (1, 2)]
            gap = newline * 2 if first > 1 and before[0] else newline if first > 2 and before[1] else ""
            yield TextEdit(Range(first, 0, first, 0), gap + text)
        if self.layers:
            yield from self.situation.import_of("torch.nn")[1]
        inside = {node for item in self.replaced for node in ast.walk(item)}
        names = [item for item in ast.walk(self.situation.tree) if isinstance(item, ast.Name)]
        used = {item.id for item in names if item not in inside}
        replaced = {item.id for item in names if item in inside}
        known = self.situation.classes.imports.items()
        gone = {name for name, path in known if path.split(".")[0] == "functools" and name in replaced - used}
        yield from without_import(self.situation.source, self.situation.tree, gone, with_group=True)


def _values(situation: Situation, owner: ast.ClassDef, attribute: str) -> Iterator[_Value]:
    """What the class sets the attribute to."""
    for item in ast.walk(owner):
        if isinstance(item, ast.Assign) and any(ast.unparse(target) == f"self.{attribute}" for target in item.targets):
            yield from _sources(situation, item.value, attribute, _DEPTH)


def _sources(situation: Situation, node: ast.expr, name: str, depth: int) -> Iterator[_Value]:
    """The expressions that an expression may give: a factory's results, a dict's values, both sides of a choice."""
    if depth == 0:
        return
    if isinstance(node, ast.IfExp):
        yield from _sources(situation, node.body, name, depth)
        yield from _sources(situation, node.orelse, name, depth)
        return
    chosen = _chosen_from(node)
    display = _display(situation, chosen) if chosen is not None else None
    if display is not None:
        for key, value in zip(display.keys, display.values, strict=True):
            word = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else name
            yield from _sources(situation, value, word, depth - 1)
        return
    called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    made = [item for item in situation.tree.body if isinstance(item, ast.FunctionDef) and item.name == called]
    if len(made) == 1:
        for item in ast.walk(made[0]):
            inner = isinstance(item, ast.Return) and situation.function_of(item) is made[0]
            if inner and isinstance(item, ast.Return) and item.value is not None:
                yield from _sources(situation, item.value, _asked_name(situation, item) or name, depth - 1)
        return
    yield _Value(node, name)


def _chosen_from(node: ast.expr) -> ast.expr | None:
    """The dict in ``ACTIVATIONS[name]`` and ``ACTIVATIONS.get(name)``."""
    if isinstance(node, ast.Subscript):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        return node.func.value
    return None


def _display(situation: Situation, node: ast.expr) -> ast.Dict | None:
    """The dict that an expression is, or that a name of the file stands for."""
    if isinstance(node, ast.Dict):
        return node
    if not isinstance(node, ast.Name):
        return None
    function = situation.function_of(node)
    body = [*(function.body if function is not None else []), *situation.tree.body]
    given = [
        item.value
        for item in body
        if isinstance(item, ast.Assign) and [ast.unparse(target) for target in item.targets] == [node.id]
    ]
    return given[0] if len(given) == 1 and isinstance(given[0], ast.Dict) else None


def _asked_name(situation: Situation, statement: ast.stmt) -> str:
    """The text that the branch around a statement asks for: ``if name == "swish":``."""
    above = situation.parents.get(statement)
    test = above.test if isinstance(above, ast.If) and statement in above.body else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        value = test.comparators[0]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""


def _is_nameless(situation: Situation, node: ast.expr) -> bool:
    partial = isinstance(node, ast.Call) and situation.path_of(node.func) == "functools.partial"
    return isinstance(node, ast.Lambda) or partial


def _layer(situation: Situation, node: ast.expr) -> str:
    """The layer that a partial function, or a lambda with one call, is; empty if there is none."""
    if isinstance(node, ast.Call) and node.args:
        function, given, keywords = node.args[0], node.args[1:], node.keywords
        if given:
            return ""
    elif isinstance(node, ast.Lambda) and len(node.args.args) == 1 and not node.args.defaults:
        name, body = node.args.args[0].arg, node.body
        if isinstance(body, ast.Name) and body.id == name:
            return "Identity()"
        if not isinstance(body, ast.Call) or not body.args or ast.unparse(body.args[0]) != name:
            return ""
        rest = [*body.args[1:], *(item.value for item in body.keywords)]
        if any(isinstance(inner, ast.Name) and inner.id == name for item in rest for inner in ast.walk(item)):
            return ""
        function, given, keywords = body.func, body.args[1:], body.keywords
    else:
        return ""
    path = situation.path_of(function)
    known = _LAYERS.get(path.rpartition(".")[2]) if path.startswith(("torch.nn.functional.", "torch.")) else None
    if known is None or len(given) > len(known[1]) or any(isinstance(item, ast.Starred) for item in given):
        return ""
    if any(item.arg not in known[1] for item in keywords):
        return ""
    passed = [*map(situation.text, given), *(f"{item.arg}={situation.text(item.value)}" for item in keywords)]
    return f"{known[0]}({', '.join(passed)})"


def _as_function(situation: Situation, node: ast.expr) -> tuple[str, str] | None:
    """The parameters and the result of a function that is this lambda or partial function of torch's; None if that
    takes something from around it.
    """
    if isinstance(node, ast.Lambda):
        own = {item.arg for item in node.args.args}
        if len(own) != len(list(ast.walk(node.args))) - 1 or not _takes_nothing(situation, node.body, own):
            return None
        return ast.unparse(node.args), situation.text(node.body)
    if not isinstance(node, ast.Call) or not _layer(situation, node) or not _takes_nothing(situation, node, set()):
        return None
    given = [situation.text(item) for item in node.keywords]
    return "x", f"{situation.text(node.args[0])}({', '.join(['x', *given])})"


def _lists_children(situation: Situation) -> bool:
    """Whether a file goes through the children of modules, or asks whether something is a module at all."""
    for node in ast.walk(situation.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("children", "named_children", "_modules"):
            return True
        asks = isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"
        if asks and any(situation.means(item, "torch.nn.Module") for item in ast.walk(node)):
            return True
    return False


def _takes_nothing(situation: Situation, node: ast.expr, own: set[str]) -> bool:
    """Whether an expression reads only these names and names of the file."""
    read = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)} - own
    current: ast.AST | None = situation.parents.get(node)
    around: set[str] = set()
    while current is not None:
        if isinstance(current, (*FUNCTIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            around |= {item.arg for item in ast.walk(current) if isinstance(item, ast.arg)}
            around |= {
                item.id
                for item in ast.walk(current)
                if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load)
            }
        current = situation.parents.get(current)
    return not read & around
