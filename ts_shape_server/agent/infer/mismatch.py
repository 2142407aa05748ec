"""Tells a module that is wrong for every input from one whose input was not found, and names what does not fit.

Rests on the symbolic run: two sizes that disagree and hold no symbol of the input cannot be mended by any input.
"""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.infer.recording import Shape, flat

_PAIRS = (
    re.compile(r"to have (?P<wanted>\S+) channels, but got (?P<got>\S+) channels"),
    re.compile(r"same reduction dim, but got \[[^\]]*?(?P<got>[^,\]]+)\] X \[(?P<wanted>[^,\]]+),"),
    re.compile(r"shapes cannot be multiplied \(\S+?x(?P<got>\w+) and (?P<wanted>\w+)x"),
    re.compile(r"should contain (?P<got>\S+) elements not (?P<wanted>\S+)"),
    re.compile(r"input_size\. Expected (?P<wanted>\S+),? got (?P<got>\S+)"),
    re.compile(r"weight\.shape\[0\] *\(?(?P<wanted>\d+).*input.*?(?P<got>\d+)"),
    re.compile(r"normalized_shape=\[(?P<wanted>\d+)\].*input of size ?\[.*?(?P<got>[^,\] ]+)\]"),
    re.compile(r"expected shape \[?\*, (?P<wanted>\d+)\]?.*got input of size ?\[.*?(?P<got>[^,\] ]+)\]"),
)


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

    def sizes(self) -> dict[str, Any]:
        """The contract's ``sizes`` of a failure."""
        return {"wanted": self.wanted, "got": self.got, "layer": self.layer, "producer": self.producer}


class FailingLayer:
    """Context manager: knows which submodule was entered last when a run fails, and what came out of those before."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._handles: list[Any] = []
        self.entered: list[str] = []
        self.finished: list[tuple[str, tuple[Shape, ...]]] = []

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

        return hook

    def _after(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            if self.entered and self.entered[-1] == name:
                self.entered.pop()
            self.finished.append((name, tuple(flat(output))))

        return hook


def find(error: BaseException, watched: FailingLayer, path: str, source: str) -> Mismatch | None:
    """The fixed disagreement behind the error of a *symbolic* run; None if an input could mend it."""
    pair = _pair(str(error), _PAIRS)
    if pair is None:
        return None
    wanted, got = pair
    layer = watched.entered[-1] if watched.entered else ""
    producer = next(
        (
            name
            for name, given in reversed(watched.finished)
            if any(not isinstance(size, torch.SymInt) and size == got for item in given for size in item.sizes)
        ),
        "",
    )
    line = next(
        (frame.lineno for frame in reversed(traceback.extract_tb(error.__traceback__)) if frame.filename == path), None
    )
    return Mismatch(wanted, got, layer, producer, line, call_place(source, line, layer))


_DISAGREEING = (
    *_PAIRS,
    re.compile(r"size of tensor a \((?P<got>\d+)\) must match the size of tensor b \((?P<wanted>\d+)\)"),
    re.compile(
        r"broadcast a dimension of length (?P<got>\d+) at -3!.*broadcastable to \[\d+, (?P<wanted>\d+), \d+, \d+\]"
    ),
    re.compile(r"a dimension of length (?P<got>\d+) at -2!.*broadcastable to \[\d+, (?P<wanted>\d+), \d+\]"),
    re.compile(r"a dimension of length (?P<got>\d+) at -1!.*broadcastable to \[\d+, (?P<wanted>\d+)\]"),
    re.compile(r"Expected size (?P<wanted>\d+) but got size (?P<got>\d+)"),
    re.compile(r"equal to batch_size, but got (?P<got>\d+) \(batch_size=(?P<wanted>\d+)\)"),
    re.compile(r"[Ss]hape mismatch.*?\b(?P<wanted>\d+)\b.*?\b(?P<got>\d+)\b"),
    re.compile(r"expected [^\[]*?\b(?P<wanted>\d+)\b.*? got .*?\b(?P<got>\d+)\b"),
)


def sizes_that_disagree(text: str) -> tuple[int, int] | None:
    """Two numbers that an error says should be one."""
    return _pair(text, _DISAGREEING)


def _pair(text: str, patterns: Sequence[re.Pattern[str]]) -> tuple[int, int] | None:
    """What the first pattern that fits says, if that is two numbers: in a symbolic run it may be symbols."""
    match = next((found for pattern in patterns if (found := pattern.search(text)) is not None), None)
    if match is None:
        return None
    wanted, got = match.group("wanted").strip("[],() "), match.group("got").strip("[],() ")
    return (int(wanted), int(got)) if wanted.isdigit() and got.isdigit() and wanted != got else None


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
