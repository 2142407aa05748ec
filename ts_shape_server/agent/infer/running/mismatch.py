"""Tells a module that is wrong for every input from one whose input was not found, and names what does not fit.

Rests on the symbolic run: two sizes that disagree and hold no symbol of the input cannot be mended by any input.
"""

from __future__ import annotations

import ast
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.running.recording import Shape, flat
from ts_shape_server.contract.report import Disagreement

RANK_KINDS = (
    "rank-wanted",
    "ranks-differ",
    "rank-too-high",
    "more-dims-needed",
    "fewer-dims-needed",
    "axis-out-of-range",
)
"""What an error says that is about how many dims there are."""
Place = tuple[int, int, int, int]
"""Line, column, end line, end column."""


@dataclass(frozen=True)
class Mismatch:
    """Two fixed sizes that disagree: what the failing layer takes and what arrives. Layer names are as
    `named_modules`.
    """

    wanted: int
    got: int
    layer: str
    producer: str
    line: int | None
    place: tuple[int, int, int, int] | None
    multiple_of: int = 0
    """What every size that can arrive is a multiple of, where it is no single one; `got` is then that of one run."""

    def sizes(self) -> Disagreement:
        """The contract's ``sizes`` of a failure."""
        return Disagreement(self.wanted, self.got, self.layer, self.producer)


class FailingLayer:
    """Context manager: knows which submodule was entered last when a run fails, and what came out of those before."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._handles: list[Any] = []
        self.entered: list[str] = []
        self.finished: list[tuple[str, tuple[Shape, ...]]] = []
        self.taken: dict[str, tuple[Shape, ...]] = {}
        """What each layer was given last."""

    def __enter__(self) -> FailingLayer:
        for name, part in self._module.named_modules():
            if name and not list(part.children()) and not isinstance(part, torch.jit.ScriptModule):
                self._handles.append(part.register_forward_pre_hook(self._before(name)))
                self._handles.append(part.register_forward_hook(self._after(name)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _before(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any) -> None:
            self.entered.append(name)
            self.taken[name] = tuple(flat(arguments))

        return hook

    def _after(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            if self.entered and self.entered[-1] == name:
                self.entered.pop()
            self.finished.append((name, tuple(flat(output))))

        return hook


def find(error: BaseException, watched: FailingLayer, path: str, source: str) -> Mismatch | None:
    """The fixed disagreement behind the error of a *symbolic* run; None if an input could mend it."""
    complaint = torch_says.read(error).get("layer-size-differs")
    pair, multiple_of = _pair(complaint), 0
    if pair is None:
        pair = _never(complaint)
        multiple_of = pair[1] if pair is not None else 0
    return None if pair is None else _at(error, watched, pair, multiple_of, path, source)


def given(error: BaseException, watched: FailingLayer, path: str, source: str) -> Mismatch | None:
    """The disagreement behind the error of a run on inputs that are known to be meant."""
    pair = of_layer(error)
    return None if pair is None else _at(error, watched, pair, 0, path, source)


def _at(
    error: BaseException, watched: FailingLayer, pair: tuple[int, int], multiple_of: int, path: str, source: str
) -> Mismatch:
    wanted, got = pair
    layer = watched.entered[-1] if watched.entered else ""
    sizes = ((name, size) for name, given in reversed(watched.finished) for item in given for size in item.sizes)
    producer = next((name for name, size in sizes if not isinstance(size, torch.SymInt) and size == got), "")
    line = next(
        (frame.lineno for frame in reversed(traceback.extract_tb(error.__traceback__)) if frame.filename == path), None
    )
    place = call_place(source, line, layer)
    return Mismatch(wanted, got, layer, "" if multiple_of else producer, line, place, multiple_of)


@dataclass(frozen=True)
class MissingReshape:
    """A layer takes items with channels and sides, and rows come whose sizes are a product of such: `sizes` are those
    of an item, channels first. Layer names are as `named_modules`.
    """

    layer: str
    producer: str
    got: tuple[int, ...]
    sizes: tuple[int, ...]


def missing_reshape(error: BaseException, watched: FailingLayer, module: nn.Module) -> MissingReshape | None:
    """What a convolution misses that is given rows of which each holds all that an item has."""
    if "rank-wanted" not in torch_says.read(error) or not watched.entered or not watched.finished:
        return None
    layer = module.get_submodule(watched.entered[-1])
    producer, shapes = watched.finished[-1]
    convolution = isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
    convolution = convolution or isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
    if not convolution or len(shapes) != 1 or len(shapes[0].sizes) != 2:
        return None
    channels, sides = int(layer.in_channels), len(layer.kernel_size)  # type: ignore[arg-type]  # a convolution's
    rows, features = shapes[0].sizes
    if not isinstance(features, int) or not isinstance(rows, int) or features % channels:
        return None
    side = round((features // channels) ** (1 / sides))
    if channels * side**sides != features:
        return None
    return MissingReshape(watched.entered[-1], producer, (rows, features), (channels, *(side,) * sides))


def _never(complaint: torch_says.Complaint | None) -> tuple[int, int] | None:
    """What is wanted, and the number of which all that can arrive are multiples, where that is no multiple of it."""
    wanted = complaint.number("wanted") if complaint is not None else None
    if complaint is None or wanted is None:
        return None
    factor = _factor(complaint.name("got"))
    return (wanted, factor) if factor > 1 and wanted % factor else None


def _factor(text: str) -> int:
    """The whole numbers by which a product of sizes is multiplied; 1 for anything else."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return 1
    factor, rest = 1, [node]
    while rest:
        part = rest.pop()
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult):
            rest += [part.left, part.right]
        elif isinstance(part, ast.Constant) and isinstance(part.value, int):
            factor *= part.value
    return factor


def sizes_that_disagree(error: BaseException) -> tuple[int, int] | None:
    """Two numbers that an error says should be one: the wanted one and the one that is."""
    said = torch_says.read(error)
    return _pair(said.get("layer-size-differs") or said.get("sizes-differ"))


def of_layer(error: BaseException) -> tuple[int, int] | None:
    """What a layer takes and what arrives, where an error names both as numbers.

    In a symbolic run these are sizes that no input changes. Other errors name the sizes of the run, whatever they are.
    """
    return _pair(torch_says.read(error).get("layer-size-differs"))


def _pair(complaint: torch_says.Complaint | None) -> tuple[int, int] | None:
    """The two sizes of a complaint, if they are two numbers: in a symbolic run they may be symbols."""
    wanted = complaint.number("wanted") if complaint is not None else None
    got = complaint.number("got") if complaint is not None else None
    return None if wanted is None or got is None or wanted == got else (wanted, got)


def call_place(source: str, line: int | None, layer: str) -> tuple[int, int, int, int] | None:
    """The range of the call of ``self.<layer>`` in that line, else of the outermost call there, else of the line's
    text.
    """
    if line is None:
        return None
    lines = source.splitlines()
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    whole = (line, len(text) - len(text.lstrip()), line, len(text.rstrip()))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return whole
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    named = [node for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr == layer.split(".")[0]]
    chosen = named[0] if named else (calls[0] if calls else None)
    return _range(chosen, lines) if chosen is not None else whole


def _range(node: ast.expr, lines: Sequence[str]) -> tuple[int, int, int, int]:
    def column(line: int, offset: int) -> int:
        return len(lines[line - 1].encode("utf-8")[:offset].decode("utf-8", "ignore"))

    end_line = node.end_lineno or node.lineno
    return node.lineno, column(node.lineno, node.col_offset), end_line, column(end_line, node.end_col_offset or 0)
