"""Turns what inference found into the objects of the JSON contract. Decides nothing, runs nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer import values
from ts_shape_server.agent.infer.recording import LayerCall, Local, Shape
from ts_shape_server.agent.infer.shots import Shot
from ts_shape_server.agent.infer.source import function_tree

SCHEMA = 1


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
    inputs: values.Inputs, omitted: values.Inputs, dim: Callable[[int], Any], varies: Collection[str] = ()
) -> list[dict[str, Any]]:
    """One spec a parameter; `dim` spells the size at a place, `varies` are names that differ from item to item."""
    counter = iter(range(1_000_000))

    def spec(guess: values.Guess) -> dict[str, Any]:
        data: dict[str, Any] = {"type": type_of(guess)}
        if isinstance(guess, values.TensorGuess):
            data.update(dtype=guess.dtype, dims=[dim(next(counter)) for _ in guess.dims])
            if "int" in guess.dtype and (guess.limited_below or guess.limited_above):
                data["values"] = {
                    "min": guess.low if guess.limited_below else None,
                    "max": guess.high if guess.limited_above else None,
                }
        elif isinstance(guess, values.SequenceGuess):
            items = [spec(item) for item in guess.items]
            alike = guess.kind == "list" and all(_fits(item, items[0], varies) for item in items)
            data["items"] = items[:1] if alike else items
            varying = [here for here in items[0].get("dims", ()) if here in varies] if alike else []
            if varying:
                data["varies"] = varying
        elif isinstance(guess, (values.DictGuess, values.RecordGuess)):
            data["keys"] = [key for key, _ in guess.items]
            data["items"] = [spec(item) for _, item in guess.items]
        return data

    result = [{"name": item.name, **spec(item.guess), "from": item.source} for item in inputs]
    for item in omitted:
        kind = type_of(item.guess)
        constant = isinstance(item.guess, values.ConstantGuess)
        result.append(
            {"name": item.name, "type": kind if constant else f"Optional[{kind}]", "from": "default", "optional": True}
        )
    return result


def _fits(item: Mapping[str, Any], first: Mapping[str, Any], varies: Collection[str]) -> bool:
    """Whether the spec of a list's first item tells of another one too: the same sizes, but for those that vary."""
    here, there = item.get("dims") or (), first.get("dims") or ()
    if (item["type"], item.get("dtype"), len(here)) != (first["type"], first.get("dtype"), len(there)):
        return False
    return all(left == right or (right in varies and isinstance(left, str)) for left, right in zip(here, there))


def example(inputs: values.Inputs) -> dict[str, Any]:
    """The contract's values by parameter."""
    return {item.name: values.to_contract(item.guess) for item in inputs}


def spec_of(value: Any) -> dict[str, Any]:
    """The spec of a value as `recording.shapes` left it, its sizes spelled."""
    if isinstance(value, Shape):
        return {"type": "Tensor", "dtype": value.dtype, "dims": list(value.sizes)}
    if isinstance(value, tuple) and len(value) == 2 and value[0] in ("list", "tuple"):
        items = [spec_of(item) for item in value[1]]
        if value[0] == "list":
            inner = {item["type"] for item in items}
            return {"type": f"List[{inner.pop() if len(inner) == 1 else 'Any'}]", "items": items}
        return {"type": f"Tuple[{', '.join(item['type'] for item in items)}]", "items": items}
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "dict":
        items = [spec_of(item) for item in value[1].values()]
        inner = {item["type"] for item in items}
        return {
            "type": f"Dict[str, {inner.pop() if len(inner) == 1 else 'Any'}]",
            "keys": list(value[1]),
            "items": items,
        }
    return {"type": str(value)}


def outputs(shot: Shot) -> list[dict[str, Any]]:
    """One spec for each value that `forward` returns."""
    if shot.is_tuple and isinstance(shot.output, tuple):
        return [spec_of(item) for item in shot.output[1]]
    return [spec_of(shot.output)]


def layers(calls: Sequence[LayerCall], lines: Mapping[str, int]) -> list[dict[str, Any]]:
    """The first call of each submodule."""
    found: dict[str, dict[str, Any]] = {}
    for call in calls:
        if call.name in found:
            continue
        found[call.name] = {
            "name": call.name,
            "type": type(call.module).__name__,
            "line": lines.get(call.name.split(".")[0]) if "." not in call.name else None,
            "inputs": [list(item.sizes) for item in call.inputs],
            "outputs": [list(item.sizes) for item in call.outputs],
            "parameters": parameter_counts(call.module)[0],
        }
    return list(found.values())


def variables(locals_: Sequence[Local]) -> list[dict[str, Any]]:
    """Locals that hold tensors, in the order of their lines."""
    result = []
    for item in sorted(locals_, key=lambda item: item.line):
        data = spec_of(item.value)
        if "Tensor" in data["type"]:
            entry = {"name": item.name, "line": item.line, **data}
            if entry not in result:
                result.append(entry)
    return result


def layer_lines(cls: type) -> dict[str, int]:
    """Where the constructor assigns each attribute."""
    tree = function_tree(cls.__init__)  # type: ignore[misc]  # read, not called
    found: dict[str, int] = {}
    for node in ast.walk(tree) if tree is not None else ():
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                found.setdefault(target.attr, target.lineno)
    return found


def parameter_counts(module: nn.Module) -> tuple[int, int]:
    """Numbers of parameters and their bytes. Lazy parameters count as none."""
    counted = [item for item in module.parameters() if not isinstance(item, nn.parameter.UninitializedParameter)]
    return sum(item.numel() for item in counted), sum(item.numel() * item.element_size() for item in counted)


def failure(
    code: str,
    message: str,
    path: str,
    place: tuple[int, int, int, int] | None,
    detail: str = "",
    related: Sequence[Mapping[str, Any]] = (),
    kind: str = "",
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A `reason` of the contract. `place` is line, column, end line, end column."""
    location = None
    if place is not None:
        keys = ("line", "column", "end_line", "end_column")
        location = {"path": path, "range": dict(zip(keys, place)), "message": ""}
    return {
        "code": code,
        "message": message,
        "location": location,
        "detail": detail[:4000],
        "related": list(related),
        "kind": kind,
        "facts": dict(facts or {}),
        "complaints": [],
    }


def one_line(error: BaseException) -> str:
    """The first line of an error's text, at most 200 characters; the type's name where it has none."""
    try:
        text = torch_says.for_people(str(error).strip())
    except Exception:
        text = ""
    first = text.splitlines()[0] if text else ""
    return f"{type(error).__name__}: {first}"[:300] if first else type(error).__name__


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{4,16}\b")


def without_addresses(value: Any) -> Any:
    """A nested value whose texts name no places in memory: these say nothing, and differ from run to run."""
    if isinstance(value, str):
        return _ADDRESS.sub("", value) if " at 0x" in value else value
    if isinstance(value, Mapping):
        return {key: without_addresses(item) for key, item in value.items()}
    return [without_addresses(item) for item in value] if isinstance(value, (list, tuple)) else value


def dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).replace("torch.", "")
