"""Lightning: a module without a trainer runs, is scripted and is traced as its own `to_torchscript` does it.

`self.trainer` is None then, where it would raise, and `self.log` does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def _module(module: Any) -> None:
    if hasattr(module.LightningModule, "_jit_is_scripting"):
        module.LightningModule._jit_is_scripting = True


ADAPTED: Mapping[str, Callable[[Any], None]] = {
    "pytorch_lightning.core.module": _module,
    "lightning.pytorch.core.module": _module,
}
