"""`spectral_norm`, whose hook is an object that TorchScript cannot compile: a function that computes the same takes its
place.

Why: the hook of ``torch.nn.utils.spectral_norm`` is an instance of a class without types. One step of the power
iteration in training, and the division by the singular value, are what it does (`torch/nn/utils/spectral_norm.py`);
weights and buffers keep their names.

Refused: hook-class name=SpectralNorm
Input: x=[2, 3]

Before:
    from typing import Tuple

    import torch
    from torch import nn
    from torch.nn.utils import spectral_norm


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = spectral_norm(nn.Linear(3, 4))

        def forward(self, x):
            return self.fc(x)

After:
    from typing import Tuple

    import torch
    from torch import nn
    from torch.nn.utils import spectral_norm


    def renewed_weight(self, inputs: Tuple[torch.Tensor]) -> None:
        matrix = self.weight_orig.flatten(1)
        if self.training:
            with torch.no_grad():
                v = torch.mv(matrix.t(), self.weight_u)
                self.weight_v.copy_(torch.nn.functional.normalize(v, dim=0, eps=1e-12))
                u = torch.mv(matrix, self.weight_v)
                self.weight_u.copy_(torch.nn.functional.normalize(u, dim=0, eps=1e-12))
        sigma = torch.dot(self.weight_u.clone(), torch.mv(matrix, self.weight_v.clone()))
        self.weight = self.weight_orig / sigma


    def spectral_norm_that_scripts(module):
        spectral_norm(module)
        hooks = module._forward_pre_hooks
        hooks[next(reversed(hooks))] = renewed_weight
        return module


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = spectral_norm_that_scripts(nn.Linear(3, 4))

        def forward(self, x):
            return self.fc(x)

Left alone:
    from torch import nn
    from torch.nn.utils import spectral_norm


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = spectral_norm(nn.ConvTranspose2d(3, 3, 2))

        def forward(self, x):
            return self.layer(x)

Left alone:
    from torch import nn
    from torch.nn.utils import spectral_norm


    class Net(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = spectral_norm(layer, n_power_iterations=3)

        def forward(self, x):
            return self.layer(x)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS

_PATHS = ("torch.nn.utils.spectral_norm", "torch.nn.utils.spectral_norm.spectral_norm")
_PLAIN = re.compile(r"torch\.nn\.(Linear|Embedding|Conv[123]d)")
_NAME = "spectral_norm_that_scripts"


def spectral_norms(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``spectral_norm(nn.Linear(3, 3))`` with a hook that scripts, in a file that never takes the hook away again."""
    said = place.says("hook-class")
    if said is None or said.fact("name") != "SpectralNorm" or "remove_spectral_norm" in situation.source.text:
        return
    calls = [
        node
        for node in ast.walk(situation.tree)
        if isinstance(node, ast.Call) and situation.path_of(node.func) in _PATHS
    ]
    first = next((item for item in situation.tree.body if isinstance(item, (*FUNCTIONS, ast.ClassDef))), None)
    if not calls or not all(_is_plain(situation, call) for call in calls):
        return
    speller = situation.spelling()
    called = {situation.text(call.func) for call in calls}
    lines = _lines(situation, min(called), speller.of("Tuple[Tensor]"))
    edits = [situation.replace(call, f"{_NAME}({situation.text(call.args[0])})") for call in calls]
    if first is None or situation.free_name(_NAME) != _NAME:
        return
    above = situation.above(first, lines)
    yield Rewrite(
        "spectral-norm-hook",
        "Give `spectral_norm` a hook that TorchScript can compile",
        (above, *edits, *speller.imports(), *situation.torch_import()),
    )


def _is_plain(situation: Situation, call: ast.Call) -> bool:
    """Whether a call says nothing but the layer, and its `forward` takes one tensor, as the hook does: that of a
    transposed convolution takes the size of its output as well.
    """
    layer = call.args[0] if len(call.args) == 1 and not call.keywords else None
    return isinstance(layer, ast.Call) and _PLAIN.fullmatch(situation.path_of(layer.func)) is not None


def _lines(situation: Situation, called: str, inputs: str) -> list[str]:
    torch = situation.torch_name()
    normalize = f"{torch}.nn.functional.normalize"
    return [
        f"def renewed_weight(self, inputs: {inputs}) -> None:",
        "    matrix = self.weight_orig.flatten(1)",
        "    if self.training:",
        f"        with {torch}.no_grad():",
        f"            v = {torch}.mv(matrix.t(), self.weight_u)",
        f"            self.weight_v.copy_({normalize}(v, dim=0, eps=1e-12))",
        f"            u = {torch}.mv(matrix, self.weight_v)",
        f"            self.weight_u.copy_({normalize}(u, dim=0, eps=1e-12))",
        f"    sigma = {torch}.dot(self.weight_u.clone(), {torch}.mv(matrix, self.weight_v.clone()))",
        "    self.weight = self.weight_orig / sigma",
        "",
        "",
        f"def {_NAME}(module):",
        f"    {called}(module)",
        "    hooks = module._forward_pre_hooks",
        "    hooks[next(reversed(hooks))] = renewed_weight",
        "    return module",
    ]
