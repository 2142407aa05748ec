"""What goes in and what comes out, as the contract tells it: types, dtypes and dims, each size spelled by the caller.

Decides nothing, runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running.recording import Shape
from ts_shape_server.agent.infer.running.shots import Shot
from ts_shape_server.contract.report import InputSpec, ValueSpec
from ts_shape_server.contract.types import is_type


def type_of(guess: values.Guess) -> str:
    """The TorchScript type of a guess."""
    if isinstance(guess, values.TensorGuess):
        return "Tensor"
    if isinstance(guess, values.SequenceGuess):
        inner = [type_of(item) for item in guess.items]
        if guess.kind == "tuple":
            return f"Tuple[{', '.join(inner)}]" if inner else "Tuple[()]"
        return f"List[{inner[0] if inner else 'Tensor'}]"
    if isinstance(guess, values.DictGuess):
        return f"Dict[str, {type_of(guess.items[0][1]) if guess.items else 'Tensor'}]"
    return guess.type


def input_specs(
    inputs: values.Inputs,
    omitted: values.Inputs,
    dim: Callable[[int], Any],
    varies: Collection[str] = (),
    taken: Mapping[str, ValueSpec] | None = None,
    largest: Mapping[int, str] | None = None,
) -> tuple[InputSpec, ...]:
    """One spec a parameter; `dim` spells the size at a place, `varies` are names that differ from item to item.

    `taken` is what is known of parameters that may be left out, by name; `largest` the largest value of tensors, in
    the order of them all, where that is a size.
    """
    counter, tensors = iter(range(1_000_000)), iter(range(1_000_000))

    def spec(guess: values.Guess) -> ValueSpec:
        if isinstance(guess, values.TensorGuess):
            sizes = tuple(dim(next(counter)) for _ in guess.dims)
            whole = "int" in guess.dtype
            low = guess.low if whole and guess.limited_below else None
            high = guess.high if whole and guess.limited_above else None
            most = (largest or {}).get(next(tensors))
            return ValueSpec("Tensor", guess.dtype, sizes, minimum=low, maximum=high, most=most)
        if isinstance(guess, values.SequenceGuess):
            items = tuple(spec(item) for item in guess.items)
            alike = guess.kind == "list" and not guess.counted and all(_fits(item, items[0], varies) for item in items)
            told = items[:1] if alike else items
            varying = [str(here) for item in told for here in item.dims or () if here in varies] if alike else []
            return ValueSpec(type_of(guess), items=told, varies=tuple(varying))
        if isinstance(guess, (values.DictGuess, values.RecordGuess)):
            keys = tuple(key for key, _ in guess.items)
            return ValueSpec(type_of(guess), items=tuple(spec(item) for _, item in guess.items), keys=keys)
        return ValueSpec(type_of(guess))

    result = [InputSpec(item.name, spec(item.guess), item.source) for item in inputs]
    for item in omitted:
        kind = type_of(item.guess)
        constant = isinstance(item.guess, values.ConstantGuess)
        told = (taken or {}).get(item.name) or ValueSpec(kind if constant else f"Optional[{kind}]")
        result.append(InputSpec(item.name, told, "default", optional=True))
    return tuple(result)


def _fits(item: ValueSpec, first: ValueSpec, varies: Collection[str]) -> bool:
    """Whether the spec of a list's first item tells of another one too: the same sizes, but for those that vary."""
    here, there = item.dims or (), first.dims or ()
    if (item.type, item.dtype, len(here)) != (first.type, first.dtype, len(there)):
        return False
    return all(left == right or (right in varies and isinstance(left, str)) for left, right in zip(here, there))


def example(inputs: values.Inputs) -> dict[str, Any]:
    """The contract's values by parameter."""
    return {item.name: values.to_contract(item.guess) for item in inputs}


def spec_of(value: Any) -> ValueSpec:
    """The spec of a value as `recording.shapes` left it, its sizes spelled."""
    if isinstance(value, Shape):
        return ValueSpec("Tensor", value.dtype, tuple(value.sizes))
    if isinstance(value, tuple) and len(value) == 2 and value[0] in ("list", "tuple"):
        items = tuple(spec_of(item) for item in value[1])
        if value[0] == "list":
            return ValueSpec(f"List[{_shared(items)}]", items=items)
        inner = ", ".join(item.type for item in items)
        return ValueSpec(f"Tuple[{inner}]" if inner else "Tuple[()]", items=items)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        items = tuple(spec_of(item) for item in value[1].values())
        key = str(value[0]).partition(" ")[2] or "str"
        return ValueSpec(f"Dict[{key if is_type(key) else 'Any'}, {_shared(items)}]", items=items, keys=tuple(value[1]))
    return ValueSpec(str(value) if is_type(str(value)) else "Any")


def _shared(items: Sequence[ValueSpec]) -> str:
    """The type of all items."""
    kinds = {item.type for item in items}
    return kinds.pop() if len(kinds) == 1 else "Any"


def outputs(shot: Shot) -> tuple[ValueSpec, ...]:
    """One spec for each value that `forward` returns."""
    if shot.is_tuple and isinstance(shot.output, tuple):
        return tuple(spec_of(item) for item in shot.output[1])
    return (spec_of(shot.output),)
