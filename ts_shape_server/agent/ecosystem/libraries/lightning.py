"""Lightning: a module without a trainer runs, is scripted and is traced as its own `to_torchscript` does it.

`self.trainer` is None then, where it would raise, and `self.log` does nothing. A module without `forward` is described
by what its `training_step` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.guesses.values import ConstantGuess, Guess


def _module(module: Any) -> None:
    base = module.LightningModule
    missing = base.forward

    def __init_subclass__(cls: Any, /, **keywords: Any) -> None:
        super(base, cls).__init_subclass__(**keywords)
        if cls.forward is missing and cls.training_step is not base.training_step:
            cls.forward = cls.training_step

    if "__init_subclass__" not in vars(base):
        base.__init_subclass__ = classmethod(__init_subclass__)
    if hasattr(module.LightningModule, "_jit_is_scripting"):
        module.LightningModule._jit_is_scripting = True


_NUMBERS = frozenset({"batch_idx", "batch_nb", "dataloader_idx", "optimizer_idx"})


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """What the trainer passes beside a batch: numbers."""
    ours = any(base.__name__ == "LightningModule" for base in type(asked.module).__mro__)
    return ConstantGuess("0", "int") if ours and asked.name in _NUMBERS else None


ADAPTED: Mapping[str, Callable[[Any], None]] = {
    "pytorch_lightning.core.module": _module,
    "lightning.pytorch.core.module": _module,
}
