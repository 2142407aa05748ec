"""Spells what runs showed beside the claim: parameters that may be left out, and values that go as far as a size.

Decides nothing, runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Union

from ts_shape_server.agent.infer.claims.optional import Taken
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.contract.report import ValueSpec

Spell = Callable[[int], Union[int, str]]
"""How the size at a place among those of the inputs is told."""


def specs(taken: Mapping[str, Taken], free: Mapping[tuple[str, int], str], dim: Spell) -> dict[str, ValueSpec]:
    """What each parameter takes, by name. `free` names the dims that are no sizes of the inputs."""
    return {
        name: ValueSpec(
            "Optional[Tensor]",
            item.guess.dtype,
            tuple(
                free[name, axis] if one.free else one.size if one.place is None else dim(one.place)
                for axis, one in enumerate(item.dims)
            ),
            minimum=item.guess.low if "int" in item.guess.dtype and item.guess.limited_below else None,
            maximum=item.guess.high if "int" in item.guess.dtype and item.guess.limited_above else None,
        )
        for name, item in taken.items()
    }


def largest(inputs: values.Inputs, dim: Spell) -> dict[int, str]:
    """The largest value of the tensors whose values go as far as a size that may be any, by their order."""
    base = values.sizes(inputs)
    return {
        at: str(dim(tensor.follows)) if base[tensor.follows] == tensor.high else f"{dim(tensor.follows)} - 1"
        for at, tensor in enumerate(values.all_tensors(inputs))
        if tensor.follows is not None and isinstance(dim(tensor.follows), str)
    }


def limits(inputs: values.Inputs, dim: Spell) -> list[str]:
    """Sentences on values that go as far as a size, as lengths do and numbers of nodes."""
    base = values.sizes(inputs)
    return [
        f"The values of `{owner.name}` go up to `{dim(tensor.follows)}`."
        if base[tensor.follows] == tensor.high
        else f"The values of `{owner.name}` are below `{dim(tensor.follows)}`."
        for owner, tensor in zip(values.owners(inputs), values.all_tensors(inputs))
        if tensor.follows is not None
    ]
