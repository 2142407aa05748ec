"""What the parameters of a module take, and ways to make it that take less: initialisers touch no memory, or have none.

Knows nothing of what a module is made for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ts_shape_server.agent.infer.running import symbolic

_RANDOM = frozenset(
    [
        "normal_",
        "uniform_",
        "trunc_normal_",
        "kaiming_normal_",
        "kaiming_uniform_",
        "xavier_normal_",
        "xavier_uniform_",
        "orthogonal_",
        "_no_grad_normal_",
        "_no_grad_uniform_",
        "_no_grad_trunc_normal_",
        "sparse_",
    ]
)
_CONSTANT = frozenset(["constant_", "ones_", "zeros_", "fill_", "zero_", "eye_", "dirac_"])
_RANGES = frozenset(["arange", "linspace", "logspace"])
_SHORT = 1 << 16
_OTHER = object()
_LARGE = 1 << 14


class SkipInitialisation(TorchFunctionMode):
    """Leaves large tensors as they were allocated: their pages are never touched, so they cost no memory.

    With `fill`, they get one value: random ones take most of the time in which a module is made. With
    `of_parameters` only parameters are left so: other tensors may be data.
    """

    def __init__(self, fill: float | None = None, of_parameters: bool = False) -> None:
        super().__init__()
        self._fill = fill
        self._kind = nn.Parameter if of_parameters else torch.Tensor

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        keywords = keywords or {}
        tensor = arguments[0] if arguments else keywords.get("tensor")
        name = getattr(function, "__name__", "")
        if name in _RANDOM and isinstance(tensor, self._kind) and tensor.numel() > _LARGE:
            return tensor if self._fill is None else tensor.fill_(self._fill)
        return function(*arguments, **keywords)


class WithoutValues(TorchFunctionMode):
    """In a fake mode there are no values to initialise. Some initialisers read what they made, which fails there.

    Short ranges of numbers are made for real, and so is all that comes of them alone: constructors read them, as in
    ``[x.item() for x in torch.linspace(0, rate, depth)]``.

    `refused` tells whether torch has refused something meanwhile: with memory it may do it.
    """

    def __init__(self, mode: Any) -> None:
        super().__init__()
        self.refused = False
        self._mode = mode

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        try:
            return self._called(function, arguments, keywords or {})
        except Exception:
            self.refused = True
            raise

    def _called(self, function: Any, arguments: Any, keywords: Any) -> Any:
        if function is torch.Tensor.__deepcopy__:
            return _copied(*arguments)
        made = symbolic.allocated(self._mode, function, arguments, keywords)
        if made is not None:
            return made
        name = getattr(function, "__name__", "")
        if _all_real((*arguments, *keywords.values())) or (
            name in _RANGES and function(*arguments, **keywords).numel() <= _SHORT
        ):
            with symbolic.not_fake():
                return function(*arguments, **keywords)
        if name in _RANDOM or name in _CONSTANT:
            tensor = arguments[0] if arguments else keywords.get("tensor")
            if isinstance(tensor, torch.Tensor) and getattr(tensor, "constant", _OTHER) is None:
                return tensor
        return function(*arguments, **keywords)

    def __enter__(self) -> Any:
        self._kept = {name: value for name, value in vars(nn.init).items() if name in _RANDOM and name[0] == "_"}
        for name in self._kept:
            setattr(nn.init, name, _untouched)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        for name, value in self._kept.items():
            setattr(nn.init, name, value)
        super().__exit__(*error)  # type: ignore[no-untyped-call]


def _copied(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
    """A copy as `copy.deepcopy` makes it. Torch copies the bytes of a number that a fake tensor has beside it, of which
    the fake tensor has none: that writes over the memory of others.
    """
    if id(tensor) not in memo:
        memo[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    return memo[id(tensor)]  # type: ignore[no-any-return]  # the copy of a tensor is one


def _all_real(values: Any) -> bool:
    """Whether there are tensors among the values, each of them small and with memory."""
    tensors = [item for value in values for item in (value if isinstance(value, (list, tuple)) else (value,))]
    tensors = [item for item in tensors if isinstance(item, torch.Tensor)]
    return bool(tensors) and all(not symbolic.is_fake(item) and item.numel() <= _SHORT for item in tensors)


def _untouched(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return tensor


def parameter_counts(module: nn.Module) -> tuple[int, int]:
    """Numbers of parameters and their bytes. Lazy parameters count as none."""
    counted = [item for item in module.parameters() if not nn.parameter.is_lazy(item)]
    return sum(item.numel() for item in counted), sum(item.numel() * item.element_size() for item in counted)
