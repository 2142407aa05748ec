"""A saved module as a class with a signature, so that the engine meets it as it meets any other.

The names and types of its inputs come from its schema. Knows nothing of how inputs are found.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import keyword
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ts_shape_server.agent.saved import consumers, shapes

_jit: Any = torch.jit
HOLDER = "_saved"
"""The name in the file of what was loaded."""
_OF_FUNCTION = "PlaceholderModule"
"""What torch calls the module that it puts around a function to save it."""
_CONSTANTS = (bool, int, float, str, type(None))
"""What an exported program has as the value of a parameter that it does not leave open."""
_UNPACKING = ("linear_unpack", "conv2d_unpack", "conv1d_unpack", "conv3d_unpack")
"""Torch's operations that give back the weights of a quantised layer."""
_PACKED = ("_packed_params", "_packed_weight", "_packed_weight_ih", "_packed_weight_hh", "param")
"""The attributes in which quantised layers keep them."""
_INNER = re.compile(r"forward\d*|__\w+__|_\w+")
"""Methods that nobody calls by name."""
_TYPING = ("Any", "Dict", "Final", "List", "NamedTuple", "Optional", "Tuple", "Union")


class NoForward(Exception):
    """The module has other methods only; the text is a sentence that names them."""


@dataclass(frozen=True)
class ForwardParameter:
    """`annotation` and `default` are Python texts, None where there is none."""

    name: str
    annotation: str | None
    default: str | None


@dataclass(frozen=True)
class Saved:
    """`name` is that of the class that was saved; `shapes` are what it was traced or exported with, by parameter.

    A dim of a shape is a number, or a letter where the program says that it may vary. `ranks` are what is sure of the
    shapes: the rank and perhaps the dtype, and of a program the sizes that it fixes. `fixed` are parameters of a
    program that only take the value with which it was exported, as Python spells it; they are no `parameters`. `order`
    has the names of both, `keywords` those that are passed by name. `methods` are those beside `forward`, `packed` the
    number of weights that quantised layers keep in a form of their own, and their bytes.
    """

    name: str
    kind: str
    parameters: tuple[ForwardParameter, ...]
    shapes: Mapping[str, str]
    ranks: Mapping[str, str]
    fixed: Mapping[str, str]
    order: tuple[str, ...]
    methods: tuple[str, ...] = ()
    packed: tuple[int, int] = (0, 0)
    keywords: frozenset[str] = frozenset()


def read(path: str, kind: str) -> Saved:
    """The signature of the module in an archive. Raises NoForward, and what torch raises where it does not load."""
    return _program(path) if kind == "program" else _script(path, kind)


def _script(path: str, kind: str) -> Saved:
    module = _jit.load(path, map_location="cpu")
    if not module._c._has_method("forward"):
        methods = ", ".join(f"`{name}`" for name in module._c._method_names()) or "none"
        raise NoForward(f"It has no `forward`, which is what inputs are told of; its methods: {methods}.")
    arguments = module.forward.schema.arguments[1:]
    names = _identifiers([argument.name for argument in arguments])
    parameters = tuple(
        ForwardParameter(
            name,
            _annotation(argument.type),
            repr(argument.default_value) if argument.has_default_value() and _literal(argument.default_value) else None,
        )
        for name, argument in zip(names, arguments)
    )
    told = consumers.documented(module)
    ranks = {name: told[argument.name] for name, argument in zip(names, arguments) if argument.name in told}
    nested = dict(zip(names, shapes.traced(path))) if kind == "trace" else {}
    batch = _shared_first(nested.values())
    ranks.update(_texts(nested, lambda axis, _: "B" if batch and not axis else "_"))
    further = tuple(sorted(name for name in module._c._method_names() if not _INNER.fullmatch(name)))
    called = _class_name(getattr(module, "original_name", ""))
    ran = _texts(nested, lambda _, size: size)
    return Saved(called, kind, parameters, ran, ranks, {}, tuple(names), further, _packed(module))


def _packed(module: Any) -> tuple[int, int]:
    """How many weights the quantised layers of a module have packed, and how many bytes these take."""
    number = size = 0
    for part in module.modules():
        for name in _PACKED:
            weights = _unpacked(getattr(part, name, None))
            number += sum(item.numel() for item in weights)
            size += sum(item.numel() * item.element_size() for item in weights)
    return number, size


def _unpacked(held: Any) -> list[torch.Tensor]:
    """The weights in an object in which torch keeps those of a quantised layer; nothing of any other value."""
    if not isinstance(held, torch.ScriptObject):
        return []
    for unpack in _UNPACKING:
        with contextlib.suppress(RuntimeError, AttributeError):
            return [item for item in getattr(torch.ops.quantized, unpack)(held) if item is not None]
    kept: Any = held
    try:
        state = kept.__getstate__()[0]
    except (RuntimeError, AttributeError, TypeError, IndexError):
        return []
    parts = [item for group in state if isinstance(group, (list, tuple)) for item in group]
    inner = [item for part in parts for item in _unpacked(part)]
    # A recurrent layer has its biases in the packed parts as well.
    return inner or [item for item in parts if isinstance(item, torch.Tensor)]


def _texts(nested: Mapping[str, Any], dim: Callable[[int, Any], object]) -> dict[str, str]:
    """The shapes by parameter as pragmas; those that no pragma says are left out."""
    found: dict[str, str] = {}
    for name, value in nested.items():
        with contextlib.suppress(ValueError):
            found[name] = shapes.spelled(value, dim)
    return found


def _shared_first(nested: typing.Iterable[Any]) -> bool:
    """Whether several inputs were traced with one first size: that of the batch, of which their lengths are too."""
    firsts = [item.dims[0] if isinstance(item, shapes.SavedShape) and item.dims else None for item in nested]
    return len(firsts) > 1 and firsts[0] is not None and len(set(firsts)) == 1


def _program(path: str) -> Saved:
    program: Any = torch.export.load(path)
    signature = inspect.signature(program.module().forward)
    names = [
        name for name, item in signature.parameters.items() if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
    ]
    given, keywords = _placeholders(program, names)
    fixed = {name: repr(value) for name, value in given.items() if isinstance(value, _CONSTANTS)}
    letters: dict[str, str] = {}
    ran = _texts(given, lambda _, dim: dim if _plain(dim) else letters.setdefault(str(dim), f"D{len(letters)}"))
    limits = _texts(given, lambda _, dim: dim if _plain(dim) else f"_{letters[str(dim)]}")
    parameters = tuple(ForwardParameter(name, None, None) for name in names if name not in fixed)
    return Saved("Program", "program", parameters, ran, limits, fixed, tuple(names), keywords=keywords)


def _placeholders(program: Any, names: typing.Sequence[str]) -> tuple[dict[str, Any], frozenset[str]]:
    """By parameter what the program was exported with: shapes in containers, and plain values; and which of them it
    takes by name.
    """
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    leaves = [
        _leaf(values.get(name) if isinstance(name, str) and name in values else name)
        for name in program.graph_signature.user_inputs
    ]
    arguments, keywords = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
    named = {name: value for name, value in keywords.items() if name in names}
    return {**dict(zip(names, arguments)), **named}, frozenset(named)


def _leaf(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return shapes.SavedShape(tuple(value.shape), str(value.dtype).replace("torch.", ""))
    return value


def _plain(dim: Any) -> bool:
    return isinstance(dim, int)


def _identifiers(names: typing.Sequence[str]) -> list[str]:
    """Names that Python takes, each of them once."""
    made: list[str] = []
    for name in names:
        plain = "".join(sign if sign.isalnum() else "_" for sign in name)
        plain = plain if plain.isidentifier() and not keyword.iskeyword(plain) and plain != "self" else f"input_{plain}"
        while plain in made:
            plain += "_"
        made.append(plain)
    return made


def _class_name(name: str) -> str:
    if name == _OF_FUNCTION:
        return "Function"
    return name if name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_") else "Module"


def _annotation(kind: Any) -> str | None:
    """The type as Python spells it; None for one that only the archive knows."""
    text = str(kind.annotation_str)
    names = {name: getattr(typing, name) for name in _TYPING}
    known = {**names, "Tensor": torch.Tensor, "__builtins__": {}, "int": int, "float": float, "bool": bool, "str": str}
    try:
        ast.parse(text, mode="eval")
        eval(text, known)
    except Exception:
        return None
    return text


def _literal(value: object) -> bool:
    try:
        ast.literal_eval(repr(value))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


_TEMPLATE = """import torch
from typing import {typing}
from torch import Tensor
from ts_shape_server.agent.saved import replay

{holder} = {load}


class {name}(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.module = {module}

    def train(self, mode=True):
        return self

    def forward({parameters}):
        return self.module({arguments})
"""


def _passed(saved: Saved, name: str) -> str:
    return f"{name}=" * (name in saved.keywords) + saved.fixed.get(name, name)


def source(saved: Saved, path: str, replayed: bool) -> str:
    """The text of a file that has the saved module as a class, in its state of evaluation.

    `replayed`: its steps are taken in Python, and `HOLDER` is the `replay.Archive` of which each instance is made.
    """
    if replayed:
        load, module = f"replay.Archive({path!r})", f"{HOLDER}.instance()"
    elif saved.kind == "program":
        load, module = f"torch.export.load({path!r}).module()", HOLDER
    else:
        load, module = f"torch.jit.load({path!r}, map_location='cpu').eval()", HOLDER
    parameters = ["self"]
    for item in saved.parameters:
        annotation = f": {item.annotation}" if item.annotation else ""
        parameters.append(f"{item.name}{annotation}{f' = {item.default}' if item.default is not None else ''}")
    return _TEMPLATE.format(
        typing=", ".join(_TYPING),
        holder=HOLDER,
        load=load,
        module=module,
        name=saved.name,
        parameters=", ".join(parameters),
        arguments=", ".join(_passed(saved, name) for name in saved.order),
    )
