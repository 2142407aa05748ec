"""Whether a changed class computes what the original does: the one judge of every fix that is offered.

Both run on the same weights and inputs with the same seeds: on two sizes with other values (on two draws of values
where the size is fixed) and on what else the workspace passes in eval mode, and in training mode with gradients. What
counts is the result with the Python types of its parts, what the run leaves in the module and in its inputs, which
results carry a gradient, and the gradients themselves. A class that cannot be run is not the same: there is no way past
a comparison that was not made, and `NotCompared` says so.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import torch_says, trees
from ts_shape_server.agent.compare import compare, fields_of, same_kinds
from ts_shape_server.agent.script.session import ScriptSession

ROUNDING = 1e-3
"""Of the largest value of a gradient: two orders of the same sums differ by less, two formulas by more."""
WEIGHT = 32.0
"""Of the results: a gradient that is cut off somewhere, or made finite, shows it on large ones."""
OTHERS = 4
"""So many of the inputs of other types are compared."""


@dataclass(frozen=True)
class _Way:
    """One way to run a class. `must` ways are those on which the original has to run for there to be a comparison.
    `gradients` (with them or without) and `draws` of values: whichever the original runs with first. `other` is the
    place of an input of another type that the workspace passes. `backward`: what is compared are the gradients, with
    `zeros` those where every second number of the inputs is zero.
    """

    words: str
    second: bool = False
    draws: tuple[int, ...] = (0,)
    training: bool = False
    gradients: tuple[bool, ...] = (False,)
    must: bool = False
    other: int | None = None
    backward: bool = False
    zeros: bool = False


class NotCompared(Exception):
    """Nothing can be said of a change, in words that say why."""


def difference(before: ScriptSession, after: ScriptSession) -> str:
    """Empty if both compute the same, else the first difference in words. NotCompared if the original does not run."""
    if before.heavy:
        raise NotCompared("the class is too large to be run for a comparison")
    for way in _ways(before):
        found = _first_that_runs(before, way)
        if found is None:
            if way.must:
                raise NotCompared(
                    "the file has a gradient of its own, and those of the class cannot be compared"
                    if way.backward
                    else "the original does not run on the example"
                )
            continue
        expected, gradients, draw = found
        try:
            actual = _observed(after, way, gradients, draw)
        except Exception as error:
            return f"the changed module does not run: {torch_says.one_line(error)} (on {way.words})"
        for part, value in expected.items():
            differ = _other_gradients if way.backward else _difference
            problem = differ(value, actual[part], part)
            if problem:
                return f"the change alters {part} on {way.words}: {problem}"
    return ""


def _first_that_runs(before: ScriptSession, way: _Way) -> tuple[dict[str, Any], bool, int] | None:
    """What the original gives, and with which gradients and draw it does."""
    for draw, gradients in product(way.draws, way.gradients):
        try:
            return _observed(before, way, gradients, draw), gradients, draw
        except Exception:
            continue
    return None


def _ways(before: ScriptSession) -> Iterator[_Way]:
    yield _Way("the example", must=True)
    if len(before.sizes()) > 1:
        yield _Way("a second size", second=True, draws=(1, 0))
    else:
        yield _Way("other values", draws=(1,))
    for place in range(min(len(before.run.others), OTHERS)):
        yield _Way("another input that the workspace passes", other=place)
    yield _Way("the example in training mode", training=True, gradients=(True, False))
    # A function may have a gradient of its own, which its formula has not.
    own = _has_gradient_of_its_own(before)
    yield _Way("the example in training mode", training=True, gradients=(True,), backward=True, must=own)
    yield _Way("zeros in training mode", training=True, gradients=(True,), backward=True, zeros=True)


def _has_gradient_of_its_own(session: ScriptSession) -> bool:
    """Whether the file of a class defines a function of autograd's own."""
    space = session.run.namespace
    kinds = [item for item in space.values() if isinstance(item, type) and issubclass(item, torch.autograd.Function)]
    return any(item.__module__ == session.run.cls.__module__ for item in kinds)


def _observed(session: ScriptSession, way: _Way, gradients: bool, draw: int) -> dict[str, Any]:
    """What a fresh instance gives, and what it leaves behind. Raises what it raises."""
    module = session.fresh()
    # What `train` gives back is up to an author who overrides it.
    module.train(way.training)
    run = session.run if way.other is None else replace(session.run, example=session.run.others[way.other])
    arguments, keywords = run.arguments(way.second, draw)
    if way.backward:
        return {"the gradients": _derived(module, arguments, keywords, way.zeros)}
    with warnings.catch_warnings(), torch.set_grad_enabled(gradients):
        warnings.simplefilter("ignore")
        result = module(*arguments, **keywords)
    return {
        "the result": result,
        "the inputs": [list(arguments), keywords],
        "the module's state": dict(module.state_dict()),
        "which results carry a gradient": list(_gradients(result)),
    }


def _difference(expected: Any, actual: Any, where: str) -> str:
    found = compare(expected, actual, where)
    if not found.agree:
        return found.reason
    return "" if same_kinds(expected, actual) else f"{where} is of another Python type"


def _derived(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], zeros: bool) -> dict[str, Any]:
    """The gradients of the inputs and of the weights by name, for results of different weight, with every second number
    of the inputs at zero if `zeros`; None where there is none. Raises what the module raises on inputs that carry a
    gradient.
    """
    arguments, keywords = copy.deepcopy((arguments, keywords))
    wanted: dict[str, torch.Tensor] = {}
    for number, item in enumerate(item for item in trees.tensors((arguments, keywords)) if item.is_floating_point()):
        if zeros:
            item.mul_((torch.arange(item.numel()) % 2).view(item.shape).to(item))
        # The gradient of what is added is that of the input, which is no leaf so: a module may write to it.
        added = torch.zeros_like(item, requires_grad=True)
        with torch.enable_grad():
            item.add_(added)
        wanted[f"input {number + 1}"] = added
    wanted.update((name, item) for name, item in module.named_parameters() if item.requires_grad)
    with warnings.catch_warnings(), torch.set_grad_enabled(True):
        warnings.simplefilter("ignore")
        made = trees.tensors(module(*arguments, **keywords), fields=True)
        results = [item for item in made if item.requires_grad]
        if not results or not wanted:
            return {}
        numbers = [torch.arange(item.numel(), dtype=torch.float32).view(item.shape) for item in results]
        weights = [(WEIGHT * item.cos()).to(result) for item, result in zip(numbers, results)]
        found = torch.autograd.grad(results, list(wanted.values()), weights, allow_unused=True)
        return {name: item.to_dense() if item is not None else None for name, item in zip(wanted, found)}


def _other_gradients(expected: dict[str, Any], actual: dict[str, Any], where: str) -> str:
    """The first gradient that differs by more than rounding, of its own largest value and, where it is nearly zero, of
    the largest of all.
    """
    most = max((_largest(value) for value in expected.values() if value is not None), default=0.0)
    for name, value in expected.items():
        made = actual.get(name)
        if value is None or made is None:
            if value is not made:
                return f"that of `{name}` is {'lost' if made is None else 'new'}"
            continue
        if not torch.equal(value.isfinite(), made.isfinite()):
            return f"that of `{name}` is not finite in the same places"
        difference = _largest(value - made)
        if difference > ROUNDING * (_largest(value) + ROUNDING * most):
            return f"that of `{name}` differs by up to {difference:.3g}"
    return ""


def _largest(value: torch.Tensor) -> float:
    return float(value.abs().nan_to_num().max()) if value.numel() else 0.0


def _gradients(value: Any) -> Iterator[bool]:
    if isinstance(value, torch.Tensor):
        yield value.requires_grad
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _gradients(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _gradients(item)
    else:
        for name in fields_of(value):
            yield from _gradients(getattr(value, name))
