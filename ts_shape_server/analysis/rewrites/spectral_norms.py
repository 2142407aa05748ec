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
from ts_shape_server.contract.places import TextEdit

_PATHS = ("torch.nn.utils.spectral_norm", "torch.nn.utils.spectral_norm.spectral_norm")
_PLAIN = re.compile(r"torch\.nn\.(Linear|Bilinear|Embedding|Conv[123]d)")
_TRANSPOSED = re.compile(r"torch\.nn\.ConvTranspose[123]d")


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
    edits: list[TextEdit] = []
    written: dict[str, list[str]] = {}
    speller = situation.spelling()
    for call in calls:
        transposed = _is_transposed(situation, call)
        if transposed is None:
            return
        name = "transposed_spectral_norm_that_scripts" if transposed else "spectral_norm_that_scripts"
        # A hook takes what `forward` takes: that of a transposed convolution has the size of its output as well.
        inputs = speller.of("Tuple[Tensor, Optional[List[int]]]" if transposed else "Tuple[Tensor]")
        written[name] = _lines(situation, situation.text(call.func), name, transposed, inputs)
        edits.append(situation.replace(call, f"{name}({situation.text(call.args[0])})"))
    if first is None or not edits or any(situation.free_name(name) != name for name in written):
        return
    lines = [line for text in written.values() for line in [*text, "", ""]][:-2]
    above = situation.above(first, lines)
    yield Rewrite(
        "spectral-norm-hook",
        "Give `spectral_norm` a hook that TorchScript can compile",
        (above, *edits, *speller.imports(), *situation.torch_import()),
    )


def _is_transposed(situation: Situation, call: ast.Call) -> bool | None:
    """Whether the layer has its outputs in the second dimension; None for a call that is not plain."""
    layer = call.args[0] if len(call.args) == 1 and not call.keywords else None
    path = situation.path_of(layer.func) if isinstance(layer, ast.Call) else ""
    return False if _PLAIN.fullmatch(path) else True if _TRANSPOSED.fullmatch(path) else None


def _lines(situation: Situation, called: str, name: str, transposed: bool, inputs: str) -> list[str]:
    torch = situation.torch_name()
    renewed = "renewed_transposed_weight" if transposed else "renewed_weight"
    normalize = f"{torch}.nn.functional.normalize"
    return [
        f"def {renewed}(self, inputs: {inputs}) -> None:",
        f"    matrix = self.weight_orig{'.transpose(0, 1)' if transposed else ''}.flatten(1)",
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
        f"def {name}(module):",
        f"    {called}(module)",
        "    hooks = module._forward_pre_hooks",
        f"    hooks[next(reversed(hooks))] = {renewed}",
        "    return module",
    ]
