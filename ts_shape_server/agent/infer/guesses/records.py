"""Guesses for values that have fields: named tuples, dataclasses, typed dicts, packed sequences, and plain classes that
hold what they are made of.

From a type, given what its fields' types ask for, or from an instance that the workspace's own code made. A maker is
an expression in the module's namespace that takes the fields by name. Runs nothing.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch.nn.utils.rnn import PackedSequence

from ts_shape_server.agent import ecosystem
from ts_shape_server.agent.infer.guesses import holders, portable
from ts_shape_server.agent.infer.guesses.values import DictGuess, Guess, OneSize, RecordGuess, TensorGuess

_PACK = (
    "(lambda data: torch.nn.utils.rnn.pack_padded_sequence("
    "data, [max(1, data.shape[0] - item) for item in range(data.shape[1])]))"
)
"""Sequences of decreasing lengths, so that the packing shows; of any sizes, so that dims can move."""
IMAGE = 4
"""Dims of a batch of images."""
_MASK = re.compile(r"(^|_)masks?$")
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
    holder = holders.of(annotation)
    if holder is not None and not dataclasses.is_dataclass(annotation):
        return _held(holder, own, guess)
    names = _needed(annotation)
    maker = portable.by_name(annotation, own) if names is not None else None
    fields = _guessed(annotation, names, own, guess) if names is not None else None
    if maker is None or fields is None:
        return None
    return RecordGuess(maker, fields, annotation.__name__)


def of_names(names: frozenset[str], methods: bool, own: Mapping[str, Any], guess: FieldGuess) -> Guess | None:
    """The guess for an object of which these attributes are read, and with `methods` called as well: of the only class
    that has them, else of no class that is known.
    """
    holder = holders.with_names(names, own)
    if holder is not None:
        known = of_type(holder.cls, own, guess)
        return known if known is not None else _held(holder, own, guess)
    if methods:
        return None
    fields = tuple((name, item) for name, item in ((name, guess(None, name)) for name in sorted(names)) if item)
    return RecordGuess(holders.UNNAMED, _with_flags(fields), "Any")


def _held(holder: holders.Holder, own: Mapping[str, Any], guess: FieldGuess) -> Guess | None:
    """The guess for a plain class: what its constructor has to be given."""
    maker = portable.by_name(holder.cls, own)
    empty = inspect.Parameter.empty
    found = [(name, guess(None if kind is empty else kind, name)) for name, kind in holder.needed.items()]
    fields = tuple((name, item) for name, item in found if item is not None)
    if maker is None or len(fields) != len(found):
        return None
    return RecordGuess(maker, _with_flags(fields), holder.cls.__name__)


def _with_flags(fields: tuple[tuple[str, Guess], ...]) -> tuple[tuple[str, Guess], ...]:
    """The fields with a mask that stands beside images as one flag for each of their places, as a batch of images that
    were filled up to one size has.
    """
    image = next((item for _, item in fields if isinstance(item, TensorGuess) and len(item.dims) == IMAGE), None)
    if image is None or image.axes or not any(_MASK.search(name) for name, _ in fields[1:]):
        return fields
    batch, height, width = (OneSize(name, "image") for name in ("B", "H", "W"))
    flags = TensorGuess((image.dims[0], *image.dims[2:]), "bool", axes=(batch, height, width))
    named = replace(image, axes=(batch, None, height, width))
    return tuple(
        (name, flags if _MASK.search(name) and isinstance(item, TensorGuess) else named if item is image else item)
        for name, item in fields
    )


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
        held = holders.fields_of(value) if known is None else None
        if held is None:
            return known
        names = tuple(held)
    maker = portable.by_name(type(value), own)
    found = [(name, guess(getattr(value, name, None))) for name in names]
    kept = tuple((name, item) for name, item in found if item is not None)
    if maker is None or len(kept) != len(found):
        return None
    return RecordGuess(maker, kept, type(value).__name__)
