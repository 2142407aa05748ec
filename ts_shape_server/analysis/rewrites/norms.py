"""`weight_norm`, whose hook is an object that TorchScript cannot compile: a function that computes the same takes its
place. Weights keep their names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import TextEdit

_PATHS = ("torch.nn.utils.weight_norm", "torch.nn.utils.weight_norm.weight_norm")


def weight_norms(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``weight_norm(nn.Linear(3, 3))`` with a hook that scripts, in a file that never takes the hook away again."""
    said = place.says("hook-class")
    if said is None or said.fact("name") != "WeightNorm" or "remove_weight_norm" in _names(situation):
        return
    calls = [
        node
        for node in ast.walk(situation.tree)
        if isinstance(node, ast.Call) and situation.path_of(node.func) in _PATHS
    ]
    edits: list[TextEdit] = []
    written: dict[str, list[str]] = {}
    speller = situation.spelling()
    inputs = speller.of("Tuple[Tensor]")
    for call in calls:
        dim = _dim(call)
        if dim is None:
            return
        name = "weight_norm_that_scripts" if dim == 0 else "weight_norm_of_all_that_scripts"
        renewed = "renewed_weight" if dim == 0 else "renewed_weight_of_all"
        written[name] = [
            f"def {renewed}(self, inputs: {inputs}) -> None:",
            f"    self.weight = {situation.torch_name()}._weight_norm(self.weight_v, self.weight_g, {dim})",
            "",
            "",
            f"def {name}(module):",
            f"    {situation.text(call.func)}(module{'' if dim == 0 else ', dim=None'})",
            "    hooks = module._forward_pre_hooks",
            f"    hooks[next(reversed(hooks))] = {renewed}",
            "    return module",
        ]
        edits.append(situation.replace(call, f"{name}({situation.text(call.args[0])})"))
    first = next((item for item in situation.tree.body if isinstance(item, (*FUNCTIONS, ast.ClassDef))), None)
    if first is None or not edits or any(situation.free_name(name) != name for name in written):
        return
    lines = [line for text in written.values() for line in [*text, "", ""]][:-2]
    above = situation.above(first, lines)
    yield Rewrite(
        "weight-norm-hook",
        "Give `weight_norm` a hook that TorchScript can compile",
        (above, *edits, *speller.imports(), *situation.torch_import()),
    )


def _names(situation: Situation) -> set[str]:
    """All names and attributes of the file."""
    nodes = list(ast.walk(situation.tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def _dim(call: ast.Call) -> int | None:
    """The dimension that torch's operator takes for a call; None for one that is not plain."""
    values = dict(zip(("module", "name", "dim"), call.args, strict=False))
    values.update({item.arg: item.value for item in call.keywords if item.arg is not None})
    name, dim = values.get("name"), values.get("dim", ast.Constant(0))
    if not call.args or len(values) != len(call.args) + len(call.keywords) or not isinstance(dim, ast.Constant):
        return None
    if name is not None and not (isinstance(name, ast.Constant) and name.value == "weight"):
        return None
    return 0 if dim.value == 0 else -1 if dim.value is None else None
