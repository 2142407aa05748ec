"""The weights of a checkpoint, under the names that a module has, with what had to be made of them in words.

Only plain values are unpickled. Knows nothing of exports.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.saved import kinds

WRAPPED_UNDER = ("state_dict", "model_state_dict", "model", "net", "weights", "module")
"""Where training programs put the weights beside the state of the training, the usual first; any other key may be."""
DEEPEST = 3
"""So many dicts inside of each other are looked into."""
PREFIXES = ("module", "_orig_mod", "model", "net")
"""What wrappers and training programs put before each name, the usual first; any other name may be."""
_WRAPPERS = {"module": "`DataParallel`", "_orig_mod": "`torch.compile`"}
_SAVE = "save it with `torch.save(model.state_dict(), path)`"
_SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Unfit(Exception):
    """The checkpoint is none, or another module's; the text is a sentence that says what to do."""


@dataclass(frozen=True)
class Weights:
    """`values` by the names of the module; `notes` say in sentences how they were found."""

    values: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def weights(path: str, wanted: Mapping[str, Any]) -> Weights:
    """The weights in the file for a module whose `state_dict` is `wanted`. Raises Unfit."""
    name = f"the checkpoint {os.path.basename(path)}"
    content = _content(path, name)
    candidates = list(_state_dicts(content))
    if not candidates:
        raise Unfit(f"{name} holds no state dict but a {type(content).__name__}: {_SAVE}")
    fitting = [item for item in candidates if set(item[0]) == set(wanted)]
    # The first that fits is taken, whatever could be made of those that come after it.
    found = next(iter(fitting), None) or next(
        filter(None, (_prefixed(*item, wanted, name) for item in candidates)), None
    )
    if found is not None:
        values, how = found
        _check_shapes(values, wanted, name)
        return Weights(values, tuple(_notes(values, wanted, how, name)))
    raise Unfit(_wrong_keys([values for values, _ in candidates], wanted, name))


def _content(path: str, name: str) -> Any:
    """What the file holds, of plain values. Raises Unfit."""
    try:
        kind = kinds.kind_of(path)
    except OSError as error:
        raise Unfit(f"{name} cannot be read: {error.strerror or error}") from None
    if kind.name == "safetensors":
        return _safetensors(path, name)
    if kind.name in ("script", "trace", "program"):
        raise Unfit(f"{name} is none, but a saved module: {_SAVE}")
    if kind.name != "pickle":
        raise Unfit(f"{name} is none, for {kind.statement}: {_SAVE}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        pickled = "pickled-code" in torch_says.read(error)
        what = "holds more than weights, and would run code when it is loaded" if pickled else "is cut off or damaged"
        raise Unfit(f"{name} {what}: {_SAVE}") from error


def _safetensors(path: str, name: str) -> dict[str, Any]:
    """The tensors of a file whose header has been looked at."""
    found: dict[str, Any] = {}
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
            data = bytearray(file.read())
        for key, item in header.items():
            if key != "__metadata__":
                dtype = _SAFETENSORS_DTYPES[item["dtype"]]
                start, end = item["data_offsets"]
                raw = torch.frombuffer(data, dtype=torch.uint8)[start:end].clone()
                found[str(key)] = raw.view(dtype).reshape(item["shape"])
    except KeyError as error:
        raise Unfit(f"{name} holds weights of the type {error}, which are not read: convert them first") from None
    except (ValueError, TypeError, RuntimeError, OSError, IndexError):
        raise Unfit(f"{name} is cut off or damaged: copy or save it again") from None
    return found


def _state_dicts(found: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """The mappings from names to weights that a checkpoint may mean, the plainest first, and how each was found."""
    for item, how in _mappings(found):
        if any(isinstance(value, torch.Tensor) for value in item.values()):
            yield item, how


def _prefixed(
    item: Mapping[str, Any], how: str, wanted: Mapping[str, Any], file: str
) -> tuple[dict[str, Any], str] | None:
    """The weights that stand under a prefix (``module._orig_mod.``), alone or beside those of other parts; None if
    there is none under which a module's weights are. Raises Unfit if there are several and none is usual.
    """
    first = next(iter(wanted), "")
    ends = [name[: -len(first)] for name in item if first and name.endswith(f".{first}")]
    whole = {prefix: [name for name in item if name.startswith(prefix)] for prefix in ends}
    fitting = [
        prefix for prefix in sorted(ends, key=_order) if {name[len(prefix) :] for name in whole[prefix]} == set(wanted)
    ]
    if not fitting:
        return None
    prefix = fitting[0]
    if len(fitting) > 1 and _order(prefix)[0]:
        listed = " and ".join(f"`{name}`" for name in fitting[:2])
        raise Unfit(
            f"{file} holds weights that fit under {len(fitting)} prefixes ({listed}): save those that are meant"
        )
    by = [_WRAPPERS[part] for part in prefix[:-1].split(".") if part in _WRAPPERS]
    told = f"with `{prefix}` before each name{', as ' + ' and '.join(by) + ' puts it' if len(by) == 1 else ''}"
    others = len(item) - len(whole[prefix])
    if others:
        told += f", beside {others} other{'s' if others > 1 else ''} that {'are' if others > 1 else 'is'} left out"
    return {name[len(prefix) :]: item[name] for name in whole[prefix]}, " ".join(filter(None, (how, told)))


def _order(prefix: str) -> tuple[bool, int, str]:
    """The usual prefixes before others, the short before the long."""
    parts = prefix[:-1].split(".")
    return any(part not in PREFIXES for part in parts), len(parts), prefix


def _mappings(found: Any) -> Iterator[tuple[dict[str, Any], str]]:
    for path, item in nested(found):
        yield {str(name): value for name, value in item.items()}, f"under `{'.'.join(path)}`" if path else ""


def nested(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """The dicts in what a file holds, with the keys that lead there: the outer before the inner, usual keys first."""
    if not isinstance(found, Mapping):
        return
    yield path, found
    usual = [key for key in WRAPPED_UNDER if key in found]
    for key in [*usual, *(key for key in found if key not in usual)] if len(path) < DEEPEST else ():
        yield from nested(found[key], (*path, str(key)))


def _check_shapes(found: Mapping[str, Any], wanted: Mapping[str, Any], file: str) -> None:
    wrong = [name for name, value in wanted.items() if getattr(found[name], "shape", None) != value.shape]
    if wrong:
        name = wrong[0]
        given = tuple(getattr(found[name], "shape", ()))
        raise Unfit(
            f"{file} was saved from another module: `{name}` is {given} there and "
            f"{tuple(wanted[name].shape)} here{_others(wrong)}; give the constructor arguments it was trained with"
        )


def _notes(found: Mapping[str, Any], wanted: Mapping[str, Any], how: str, file: str) -> Iterator[str]:
    if how:
        yield f"The weights of {file} are {how}."
    other = {
        (str(found[name].dtype), str(value.dtype))
        for name, value in wanted.items()
        if isinstance(value, torch.Tensor) and found[name].dtype != value.dtype
    }
    for given, taken in sorted(other):
        plain = [text.replace("torch.", "") for text in (given, taken)]
        yield f"The weights of {file} are {plain[0]} and were converted to the module's {plain[1]}."


def _wrong_keys(candidates: list[dict[str, Any]], wanted: Mapping[str, Any], file: str) -> str:
    best = max(candidates, key=lambda item: len(set(item) & set(wanted)))
    missing = [name for name in wanted if name not in best]
    extra = [str(name) for name in best if name not in wanted]
    parts = [f"lacks `{missing[0]}`{_more(missing)}"] if missing else []
    parts += [f"has `{extra[0]}`{_more(extra)}, which the module lacks"] if extra else []
    return f"{file} does not fit this module: it {' and '.join(parts)}"


def _others(names: list[str]) -> str:
    others = len(names) - 1
    return f", and {others} more differ{'s' if others == 1 else ''}" if others else ""


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
