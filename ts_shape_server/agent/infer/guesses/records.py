"""Guesses for values that have fields: named tuples, dataclasses, typed dicts, and packed sequences.

From a type, given what its fields' types ask for, or from an instance that the workspace's own code made. A maker is
an expression in the module's namespace that takes the fields by name. Runs nothing.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any

from torch.nn.utils.rnn import PackedSequence

from ts_shape_server.agent import ecosystem
from ts_shape_server.agent.infer.guesses import portable
from ts_shape_server.agent.infer.guesses.values import DictGuess, Guess, RecordGuess, TensorGuess

_PACK = (
    "(lambda data: torch.nn.utils.rnn.pack_padded_sequence("
    "data, [max(1, data.shape[0] - item) for item in range(data.shape[1])]))"
)
"""Sequences of decreasing lengths, so that the packing shows; of any sizes, so that dims can move."""
FieldGuess = Callable[[Any, str], "Guess | None"]
"""What a field's type and name ask for."""


def of_type(annotation: Any, own: Mapping[str, Any], guess: FieldGuess) -> Guess | None:
    """The guess for a type with fields; None for any other type."""
    if not isinstance(annotation, type):
        return None
    if issubclass(annotation, PackedSequence):
        return packed((8, 2, 16))
    if typing.is_typeddict(annotation) if hasattr(typing, "is_typeddict") else hasattr(annotation, "__total__"):
        fields = _guessed(annotation, tuple(getattr(annotation, "__annotations__", {})), own, guess)
        return None if fields is None else DictGuess(fields)
    names = _needed(annotation)
    maker = portable.by_name(annotation, own) if names is not None else None
    fields = _guessed(annotation, names, own, guess) if names is not None else None
    if maker is None or fields is None:
        return None
    return RecordGuess(maker, fields, annotation.__name__)


def _needed(annotation: type) -> tuple[str, ...] | None:
    """The fields that a maker has to be given; None for a type without fields."""
    if dataclasses.is_dataclass(annotation):
        missing = dataclasses.MISSING
        return tuple(
            field.name
            for field in dataclasses.fields(annotation)
            if field.init and field.default is missing and field.default_factory is missing
        )
    names = getattr(annotation, "_fields", None)
    if not issubclass(annotation, tuple) or not isinstance(names, tuple):
        return None
    defaults = getattr(annotation, "_field_defaults", {})
    return tuple(name for name in names if name not in defaults)


def _guessed(
    annotation: type, names: tuple[str, ...], own: Mapping[str, Any], guess: FieldGuess
) -> tuple[tuple[str, Guess], ...] | None:
    try:
        types = typing.get_type_hints(annotation, dict(own), include_extras=True)
    except Exception:
        types = dict(getattr(annotation, "__annotations__", {}))
    found = [(name, guess(types.get(name), name)) for name in names]
    kept = tuple((name, item) for name, item in found if item is not None)
    return kept if len(kept) == len(found) else None


def packed(sizes: tuple[int, ...], dtype: str = "float32") -> RecordGuess:
    """A packed sequence from padded data of these sizes: time, batch, features."""
    names = ("T", "B", "F")[: len(sizes)]
    return RecordGuess(_PACK, (("data", TensorGuess(sizes, dtype, axes=names)),), "PackedSequence")


def of_instance(value: Any, own: Mapping[str, Any], guess: Callable[[Any], Guess | None]) -> Guess | None:
    """The guess for an instance with fields; None for any other value."""
    if isinstance(value, PackedSequence):
        if not len(value.batch_sizes):
            return None
        sizes = (len(value.batch_sizes), int(value.batch_sizes[0]), *value.data.shape[1:])
        return packed(tuple(sizes), str(value.data.dtype).replace("torch.", ""))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = tuple(field.name for field in dataclasses.fields(value) if field.init)
    elif isinstance(value, tuple) and isinstance(getattr(value, "_fields", None), tuple):
        names = value._fields  # type: ignore[attr-defined]  # a named tuple
    else:
        known: Guess | None = ecosystem.instance(value, own, guess)
        return known
    maker = portable.by_name(type(value), own)
    found = [(name, guess(getattr(value, name, None))) for name in names]
    kept = tuple((name, item) for name, item in found if item is not None)
    if maker is None or len(kept) != len(found):
        return None
    return RecordGuess(maker, kept, type(value).__name__)
