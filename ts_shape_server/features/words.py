"""Dims, values, symbols and counts in the words and signs that a person reads: text in, text out, no markdown."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ts_shape_server.contract import dims as dims_of
from ts_shape_server.contract.dims import Dim
from ts_shape_server.contract.report import ArchiveState, InputSpec, Layer, Report, Symbol, ValueSpec

_MOST_COMBINATIONS = 4096
_MOST_SHOWN = 6
_MOST_EXAMINED = 8

SPEC_SOURCES = {
    "embedded": "As the export that wrote it has verified it.",
    "solved": "Found by running the archive itself.",
}
"""Where the spec of a saved module is known from."""

UNPROVEN: Mapping[ArchiveState, str] = {
    "": "not saved",
    "no-process": "not loaded in another process",
    "not-compared": "not compared in another process",
    "large": "too large to be saved here",
    "left-to-python": "and cannot be saved: a method is left to Python",
    "objects": "loaded in another process and not compared: objects of its source go in or out",
    "no-forward": "loaded in another process and not called: it has no `forward` of its own",
}
"""What is missing to a script that has no traps and is not proven to be the module once it is saved."""


def dims(values: Sequence[Dim] | None) -> str:
    """``(B, 3, H//2)``; a single dim has no trailing comma, an unknown shape is an ellipsis."""
    return "(…)" if values is None else f"({', '.join(dim(item) for item in values)})"


def dim(value: Dim) -> str:
    return str(value)


def value(spec: ValueSpec, *, dtype: bool = True) -> str:
    """One value with all that is known of it: ``Tensor (B, 3) float32``, ``List[Tensor (L) int64 0…99]``."""
    if spec.items:
        return _container(spec, dtype)
    words = [spec.type]
    if spec.dims is not None:
        words.append(dims(spec.dims))
    if dtype and spec.dtype is not None:
        words.append(spec.dtype)
    largest = spec.maximum if spec.most is None else spec.most
    if dtype and (spec.minimum is not None or largest is not None):
        words.append(_bounds(spec.minimum, largest))
    return " ".join(words)


def _bounds(minimum: int | None, maximum: Dim | None) -> str:
    if isinstance(maximum, str):
        return f"values ≤ {maximum}" if minimum is None else f"values {minimum} to {maximum}"
    if minimum is None:
        return f"values ≤ {maximum}"
    return f"values ≥ {minimum}" if maximum is None else f"values {minimum}–{maximum}"


def _container(spec: ValueSpec, dtype: bool) -> str:
    inside = [value(item, dtype=dtype) for item in spec.items]
    outer = spec.type.partition("[")[0]
    if spec.keys:
        pairs = ", ".join(f'"{key}": {item}' for key, item in zip(spec.keys, inside, strict=False))
        return f"{outer} {{{pairs}}}"
    return f"{outer}[{', '.join(inside)}]"


def short(spec: ValueSpec) -> str:
    """For a lens or a hint: the dims alone where it is one tensor, the nesting where it is not."""
    if spec.items:
        inside = [short(item) for item in spec.items]
        if spec.keys:
            return "{" + ", ".join(f"{key}: {item}" for key, item in zip(spec.keys, inside, strict=False)) + "}"
        if spec.type.startswith(("Tuple", "tuple")):
            return ", ".join(inside)
        return f"[{', '.join(inside)}, …]" if len(inside) == 1 else f"[{', '.join(inside)}]"
    return spec.type if spec.dims is None else dims(spec.dims)


def flow(report: Report) -> str:
    """``(B, 3, H, W) → (B, 10)``: what goes in, what comes out."""
    given = ", ".join(short(item.value) for item in report.inputs if not item.optional)
    given = given or "()"
    return f"{given} → {results(report.outputs, short)}"


def results(outputs: Sequence[ValueSpec], spell: Callable[[ValueSpec], str]) -> str:
    return ", ".join(spell(item) for item in outputs) if outputs else "None"


def signature(report: Report) -> str:
    """``SimpleCNN(x: Tensor (B, 3, H, W) float32) → Tensor (B, 10)``, over several lines when it is long."""
    parameters = [parameter(item) for item in report.inputs]
    result = results(report.outputs, lambda item: value(item, dtype=_unusual(item)))
    name = report.name.rsplit(".", 1)[-1]
    line = f"{name}({', '.join(parameters)}) → {result}"
    if len(line) <= 88 or not parameters:
        return line
    inside = "".join(f"    {item},\n" for item in parameters)
    return f"{name}(\n{inside}) → {result}"


def _unusual(spec: ValueSpec) -> bool:
    """Whether the dtype of a result says more than that it is a plain float tensor."""
    return any(item.dtype not in (None, "float32") for item in _leaves(spec))


def _leaves(spec: ValueSpec) -> Iterable[ValueSpec]:
    if not spec.items:
        yield spec
    for item in spec.items:
        yield from _leaves(item)


def parameter(spec: InputSpec) -> str:
    """``x: Tensor (B, 3) float32``; a default is shown where the type tells it."""
    if not spec.optional:
        return f"{spec.name}: {value(spec.value)}"
    return f"{spec.name}: {value(spec.value)} = {'None' if spec.value.type.startswith(('Optional', 'None')) else '…'}"


def layer_flow(layer: Layer) -> str:
    """``(B, 3) → (B, 10)``: the tensors that go into a layer and come out."""
    return shapes_flow(layer.inputs, layer.outputs)


def shapes_flow(inputs: Sequence[Sequence[Dim]], outputs: Sequence[Sequence[Dim]]) -> str:
    given = ", ".join(dims(item) for item in inputs) or "()"
    return f"{given} → {', '.join(dims(item) for item in outputs) or '()'}"


def count(number: int) -> str:
    """``31.8 K``; exact below a thousand."""
    return _scaled(number, 1000, ("", " K", " M", " G", " T"))


def size(number: int) -> str:
    """Bytes: ``124 KiB``."""
    return _scaled(number, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def _scaled(number: int, step: int, units: Sequence[str]) -> str:
    amount, unit = float(number), 0
    while amount >= step and unit < len(units) - 1:
        amount, unit = amount / step, unit + 1
    if unit == 0:
        return f"{number}{units[0]}"
    digits = f"{amount:.1f}" if amount < 100 else f"{amount:.0f}"
    return digits.removesuffix(".0") + units[unit]


def many(number: int, one: str, several: str | None = None) -> str:
    """``1 parameter``, ``2 parameters``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def listed(items: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def symbol(item: Symbol) -> str:
    """``28 or 29``, ``16``, ``any size``, ``≥ 28``, ``multiples of 32, from 64``, ``4 to 64``."""
    if item.least is not None:
        item = replace(item, minimum=item.least, least=None)
    step = max(item.multiple_of, 1)
    if item.maximum is None:
        if step == 1:
            return "any size" if item.minimum <= 1 else f"≥ {item.minimum}"
        return f"multiples of {step}" + (f", from {item.minimum}" if item.minimum > step else "")
    allowed = _allowed(item)
    if allowed is not None and len(allowed) <= 4:
        return listed([str(number) for number in allowed], "or") or "none"
    words = f"{item.minimum} to {item.maximum}"
    return words if step == 1 else f"multiples of {step}, {words}"


def _allowed(item: Symbol) -> list[int] | None:
    """Every value of a bounded symbol; None when it is unbounded or has too many."""
    if item.maximum is None:
        return None
    step = max(item.multiple_of, 1)
    first = -(-item.minimum // step) * step
    if (item.maximum - first) // step >= _MOST_COMBINATIONS:
        return None
    return list(range(first, item.maximum + 1, step))


def symbol_lines(report: Report) -> list[str]:
    """The symbols in words, equal ones together, then each constraint that these words do not already say."""
    shown = shown_symbols(report)
    groups: dict[str, list[str]] = {}
    for name, item in report.symbols:
        if name in shown:
            groups.setdefault(symbol(item), []).append(name)
    lines = [f"{', '.join(names)}: {words}" for words, names in groups.items()]
    table = dict(report.symbols)
    found = [constraint(item, table) for item in report.constraints[:_MOST_EXAMINED]]
    return lines + [line for line in (*found, *report.constraints[_MOST_EXAMINED:]) if line]


def shown_symbols(report: Report) -> set[str]:
    """The names that the inputs, outputs and constraints use: others would be words about nothing in sight."""
    used: set[str] = set()
    specs = [item.value for item in report.inputs] + list(report.outputs)
    for leaf in itertools.chain.from_iterable(_leaves(item) for item in specs):
        for each in leaf.dims or ():
            used.update(dims_of.names(each))
    for text in report.constraints:
        used.update(dims_of.names(text))
    return used


def constraint(text: str, symbols: Mapping[str, Symbol]) -> str:
    """A constraint in words: empty when the ranges say it, the solutions when they are few, else as it stands."""
    names = sorted(set(dims_of.names(text)) & set(symbols))
    choices = [_allowed(symbols[name]) for name in names]
    bounded = [item for item in choices if item is not None]
    total = 1
    for item in bounded:
        total *= len(item)
    if not names or len(bounded) != len(choices) or total > _MOST_COMBINATIONS:
        return text
    combinations = list(itertools.product(*bounded))
    solutions = [item for item in combinations if dims_of.holds(text, dict(zip(names, item, strict=True)))]
    if len(solutions) == len(combinations):
        return ""
    if not solutions or len(solutions) > _MOST_SHOWN:
        return text
    pairs = [str(item[0]) if len(item) == 1 else f"({', '.join(map(str, item))})" for item in solutions]
    return f"{', '.join(names)}{' together' if len(names) > 1 else ''}: {listed(pairs, 'or')}"


def example(report: Report) -> str:
    """The sizes that ran, the second ones too: ``(2, 3, 28, 28)`` and ``(3, 3, 29, 29)``."""
    runs = [run for run in (report.example, report.second) if run]
    texts = [", ".join(_sizes(item) for item in run.values()) for run in runs]
    return listed([text for text in dict.fromkeys(texts) if text])


def _sizes(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    if "tensor" in item:
        return dims(item["tensor"])
    for key, opening, closing in (("list", "[", "]"), ("tuple", "(", ")")):
        if key in item:
            return opening + ", ".join(_sizes(inner) for inner in item[key]) + closing
    if "dict" in item:
        inner = item["dict"]
        pairs = inner.items() if isinstance(inner, Mapping) else inner
        return "{" + ", ".join(f"{name}: {_sizes(each)}" for name, each in pairs) + "}"
    if "make" in item:
        return "(" + ", ".join(f"{name}={_sizes(each)}" for name, each in (item.get("fields") or {}).items()) + ")"
    return str(item.get("expr", "…"))


def parameters(number: int) -> str:
    """How many parameters: ``no parameters``, ``1 parameter``, ``31.8 K parameters``."""
    return "no parameters" if not number else f"{count(number)} parameter{'' if number == 1 else 's'}"


def weight(report: Report) -> str:
    """The parameters of a class, with what memory they take."""
    memory = f" ({size(report.parameter_bytes)})" if report.parameter_bytes else ""
    return parameters(report.parameters) + memory
