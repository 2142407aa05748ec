"""Reads and writes the dataclasses of the contract from their declaration; there is no other spelling of their JSON.

A field's type says what it may hold, `entry` in its metadata how it stands in the JSON. Reading is for what untrusted
code has sent: everything is checked and capped, and what is wrong is told with the path to it. Knows no class of the
contract.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Callable, Optional, TypeVar, Union

MAXIMUM_DEPTH = 20
"""Objects inside of objects."""
MAXIMUM_ITEMS = 20_000
"""Elements of a list or an object."""
MAXIMUM_TEXT = 1 << 18
"""Characters of a text."""

T = TypeVar("T")
Reader = Callable[[Any, int], Any]
"""Makes a value of JSON, at a depth. Raises ContractError."""
Writer = Callable[[Any], Any]


class ContractError(ValueError):
    """What came does not follow the contract; the text says what is wrong, and where."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._problem = problem
        self._path: list[str] = []

    def inside(self, place: Union[str, int]) -> ContractError:
        """The same error, seen from one level further out."""
        self._path.append(f"[{place}]" if isinstance(place, int) else f".{place[:40]}")
        return self

    def __str__(self) -> str:
        path = "".join(reversed(self._path)).lstrip(".")
        return f"`{path}` {self._problem}" if path else self._problem


@dataclass(frozen=True)
class Codec:
    """How a value is read and written that its type alone does not tell; stands in an `Annotated` type."""

    read: Reader
    write: Optional[Writer] = None
    """None: it is JSON as it is."""


@dataclass(frozen=True)
class JsonField:
    """How a field stands in the JSON; see `entry`."""

    key: str = ""
    omitted: bool = False
    alone: bool = False
    nullable: bool = False
    inlined: bool = False
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)


def entry(
    key: str = "",
    *,
    omitted: bool = False,
    alone: bool = False,
    nullable: bool = False,
    inlined: bool = False,
    renamed: Optional[Mapping[str, str]] = None,
) -> dict[str, JsonField]:
    """The metadata of a field. `key` is its name in the JSON where that is another one; ``values.min`` stands in an
    object of its own. `omitted`: left out where it has its default, and all others of that object have theirs; with
    `alone` whatever the others have. `nullable`: null stands for the default. `inlined`:
    its own fields stand beside the others. `renamed` are keys of the object under this field that are called otherwise.
    """
    return {"entry": JsonField(key, omitted, alone, nullable, inlined, renamed or {})}


def read(kind: Callable[..., T], value: Any) -> T:
    """An object of a dataclass from JSON. A key that no field has is read by nobody. Raises ContractError."""
    made: T = _codec_of_class(kind, ()).read(value, 0)
    return made


def write(value: Any) -> dict[str, Any]:
    """The JSON of an object of a dataclass."""
    codec = _codec_of_class(value.__class__, ())
    assert codec.write is not None
    made: dict[str, Any] = codec.write(value)
    return made


def read_tagged(kinds: Mapping[str, Callable[..., Any]], value: Mapping[str, Any]) -> Any:
    """An object of the class that its ``type`` names in `kinds`. Raises ContractError."""
    name = value.get("type")
    known = kinds.get(name) if isinstance(name, str) else None
    if known is None:
        raise ContractError(f"is none of {', '.join(kinds)}")
    return read(known, value)


def write_tagged(kinds: Mapping[str, Callable[..., Any]], value: Any) -> dict[str, Any]:
    """The JSON of an object of one of these classes, with its ``type``."""
    name = next(name for name, kind in kinds.items() if kind is type(value))
    return {"type": name, **write(value)}


def text(most: int = MAXIMUM_TEXT, accepts: Optional[Callable[[str], bool]] = None, problem: str = "") -> Codec:
    """A text of so many characters at most, of which `accepts` is true; else `problem` is what is wrong with it."""

    def read_text(value: Any, depth: int) -> str:
        if type(value) is not str:
            raise ContractError("is no text")
        if len(value) > most:
            raise ContractError("is too long")
        if accepts is not None and not accepts(value):
            raise ContractError(f"{problem}: {value[:60]!r}")
        return value

    return Codec(read_text)


@functools.cache
def _codec_of_class(kind: Any, renamed: tuple[tuple[str, str], ...]) -> Codec:
    hints = typing.get_type_hints(kind, include_extras=True)
    keys = dict(renamed)
    fields = [_Field.of(item, hints[item.name], keys) for item in dataclasses.fields(kind)]
    return Codec(_class_reader(kind, fields), _class_writer(fields))


@dataclass(frozen=True)
class _Field:
    """A field of a dataclass: where it stands in the JSON and how it is read and written."""

    name: str
    group: str
    key: str
    entry: JsonField
    codec: Codec
    given: bool
    """Whether the constructor takes it."""
    default: Any
    factory: Any

    @classmethod
    def of(cls, item: Any, hint: Any, renamed: Mapping[str, str]) -> _Field:
        own: JsonField = item.metadata.get("entry") or JsonField()
        group, _, key = (own.key or item.name).rpartition(".")
        codec = _lazily(hint, tuple(own.renamed.items()))
        return cls(item.name, group, renamed.get(key, key), own, codec, item.init, item.default, item.default_factory)

    @property
    def path(self) -> str:
        return f"{self.group}.{self.key}" if self.group else self.key

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING and self.factory is dataclasses.MISSING

    def absent(self) -> Any:
        return self.default if self.factory is dataclasses.MISSING else self.factory()


def _class_reader(kind: type, fields: list[_Field]) -> Reader:
    plan = [
        (item.name, item.group, item.key, item.path, item.codec.read, item.required, item.entry.nullable, item.given)
        for item in fields
        if not item.entry.inlined
    ]
    inlined = [(item.name, item.codec.read) for item in fields if item.entry.inlined]

    def read_class(value: Any, depth: int) -> Any:
        if type(value) is not dict:
            raise ContractError("is no object")
        if depth > MAXIMUM_DEPTH:
            raise ContractError("is nested too deeply")
        made: dict[str, Any] = {}
        path = ""
        try:
            for name, group, key, path, read_value, required, nullable, given in plan:  # noqa: B007  # an error tells the path
                holder = value if not group else _group(value, group)
                if key in holder:
                    found = holder[key]
                    if found is None and nullable:
                        continue
                    found = read_value(found, depth + 1)
                    if given:
                        made[name] = found
                elif required:
                    raise ContractError("is missing")
        except ContractError as error:
            raise error.inside(path) from None
        for name, read_value in inlined:
            made[name] = read_value(value, depth)
        return kind(**made)

    return read_class


def _group(value: dict[str, Any], group: str) -> dict[str, Any]:
    found = value.get(group)
    if found is None:
        return {}
    if type(found) is not dict:
        raise ContractError("stands in no object")
    return found


def _class_writer(fields: list[_Field]) -> Writer:
    plan = [(item, item.name, item.key, item.codec.write, item.group) for item in fields]
    usual = {item.name: item.absent() for item in fields if item.entry.omitted}
    groups = {item.group: [other.name for other in fields if other.group == item.group] for item in fields}
    beside = {item.name: groups[item.group] for item in fields if item.group and not item.entry.alone}

    def write_class(value: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for item, name, key, write_value, group in plan:
            held = getattr(value, name)
            if item.entry.inlined:
                assert write_value is not None
                made.update(write_value(held))
                continue
            # Where one field of a group is written, all of it is.
            if name in usual and all(getattr(value, other) == usual[other] for other in beside.get(name, (name,))):
                continue
            holder = made.setdefault(group, {}) if group else made
            holder[key] = held if write_value is None else write_value(held)
        return made

    return write_class


def _lazily(hint: Any, renamed: tuple[tuple[str, str], ...]) -> Codec:
    """The codec of a type. A class is only looked at when it is met: it may hold itself."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _of_class(hint, renamed)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return next((item for item in arguments[1:] if isinstance(item, Codec)), None) or _lazily(arguments[0], ())
    if origin in _UNIONS and type(None) in arguments:
        (inner,) = [item for item in arguments if item is not type(None)]
        return _optional(_lazily(inner, renamed))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        pair = typing.get_args(arguments[0])
        if typing.get_origin(arguments[0]) is tuple and len(pair) == 2 and pair[1] is not Ellipsis:
            return _object_of(_lazily(pair[0], ()), _lazily(pair[1], ()), pairs=True)
        return _list_of(_lazily(arguments[0], ()))
    if origin in (dict, collections.abc.Mapping):
        return _object_of(_lazily(arguments[0], ()), _lazily(arguments[1], ()), pairs=False)
    if origin is typing.Literal:
        return text(100, frozenset(arguments).__contains__, f"is none of {', '.join(arguments)}")
    if hint in _PLAIN:
        return _PLAIN[hint]
    raise TypeError(f"the contract cannot hold {hint}")


def _of_class(kind: type, renamed: tuple[tuple[str, str], ...]) -> Codec:
    def read_class(value: Any, depth: int) -> Any:
        return _codec_of_class(kind, renamed).read(value, depth)

    def write_class(value: Any) -> Any:
        write_value = _codec_of_class(kind, renamed).write
        assert write_value is not None
        return write_value(value)

    return Codec(read_class, write_class)


def _optional(inner: Codec) -> Codec:
    read_inner, write_inner = inner.read, inner.write

    def read_optional(value: Any, depth: int) -> Any:
        return None if value is None else read_inner(value, depth)

    def write_optional(value: Any) -> Any:
        return None if value is None or write_inner is None else write_inner(value)

    return Codec(read_optional, None if write_inner is None else write_optional)


def _list_of(inner: Codec) -> Codec:
    read_inner, write_inner = inner.read, inner.write

    def read_list(value: Any, depth: int) -> tuple[Any, ...]:
        if type(value) is not list:
            raise ContractError("is no list")
        if len(value) > MAXIMUM_ITEMS:
            raise ContractError("is too long")
        made: list[Any] = []
        try:
            for item in value:
                made.append(read_inner(item, depth))  # noqa: PERF401  # an error tells how far it came
        except ContractError as error:
            raise error.inside(len(made)) from None
        return tuple(made)

    def write_list(value: Any) -> list[Any]:
        return list(value) if write_inner is None else [write_inner(item) for item in value]

    return Codec(read_list, write_list)


def _object_of(key: Codec, inner: Codec, pairs: bool) -> Codec:
    """An object whose keys are data: a tuple of pairs, or a dict."""
    read_key, read_inner, write_inner = key.read, inner.read, inner.write

    def read_object(value: Any, depth: int) -> Any:
        if type(value) is not dict:
            raise ContractError("is no object")
        if len(value) > MAXIMUM_ITEMS:
            raise ContractError("is too long")
        made: list[tuple[str, Any]] = []
        name = ""
        try:
            for name, item in value.items():
                made.append((read_key(name, depth), read_inner(item, depth + 1)))
        except ContractError as error:
            raise error.inside(name) from None
        return tuple(made) if pairs else dict(made)

    def write_object(value: Any) -> dict[str, Any]:
        items = value if pairs else value.items()
        return {name: item if write_inner is None else write_inner(item) for name, item in items}

    return Codec(read_object, write_object)


def _read_number(value: Any, depth: int) -> int:
    if type(value) is not int:
        raise ContractError("is no number")
    return value


def _read_real(value: Any, depth: int) -> float:
    if type(value) is not int and type(value) is not float:
        raise ContractError("is no number")
    return value


def _read_flag(value: Any, depth: int) -> bool:
    if type(value) is not bool:
        raise ContractError("is no bool")
    return value


_UNIONS = (Union, getattr(types, "UnionType", Union))
"""``X | None`` is of a kind of its own where Python has it."""
_PLAIN: dict[Any, Codec] = {str: text(), int: Codec(_read_number), float: Codec(_read_real), bool: Codec(_read_flag)}
