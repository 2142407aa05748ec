"""Tries a repair as the command does, in this process: a bench for one file, and the check that most tests make."""

from __future__ import annotations

import asyncio
import linecache
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from ts_shape_server.agent import clock
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import examine, trial
from ts_shape_server.analysis.rewrites import PLAIN
from ts_shape_server.contract.report import Argument, InputSpec, Report, TorchScript, ValueSpec
from ts_shape_server.probing.requests import Trial
from ts_shape_server.repair import Repaired, repair

HEADER = """\
import math
from typing import Dict, List, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Variable


"""
X = {"x": {"tensor": [2, 3]}}
SECOND = {"x": {"tensor": [4, 3]}}
IMAGE = {"x": {"tensor": [1, 3, 8, 8]}}


class Bench:
    """One file, loaded from each text in turn: the same path, so that places stay comparable."""

    def __init__(
        self, path: Path, text: str, example: dict[str, Any], init: dict[str, str], source: str = "call net.py:9"
    ) -> None:
        self.path = path
        self.original = text
        self.example = example
        self.second = SECOND if example is X else None
        self.init = init
        self.report = Report(
            path=str(path),
            name="Net",
            line=1,
            status="ok",
            init=tuple((name, Argument(value, "")) for name, value in init.items()),
            inputs=tuple(InputSpec(name, ValueSpec("Tensor"), source) for name in example),
            example=example,
            second=self.second,
            torchscript=examine(self.load(text), self.context(text)),
        )

    def load(self, text: str) -> Run:
        self.path.write_text(text, encoding="utf-8")
        linecache.cache.pop(str(self.path), None)
        module = ModuleType(f"case_{abs(hash(text))}")
        module.__file__ = str(self.path)
        sys.modules[module.__name__] = module
        namespace = vars(module)
        exec(compile(text, str(self.path), "exec", dont_inherit=True), namespace)
        return Run(namespace["Net"], namespace, self.init, self.example, self.second)

    def context(self, text: str) -> Context:
        return Context(str(self.path), str(self.path.parent), text, {}, clock.now() + 40)

    async def attempt(self, text: str) -> Trial:
        before = self.load(self.original)
        made = trial(before, self.load(text), self.context(text), self.report.torchscript)
        return Trial(made.ok, made.reason, made.torchscript or TorchScript())

    def repaired(self) -> Repaired:
        return asyncio.run(repair(self.report, self.original, self.attempt, 40))


def check(
    path: Path,
    source: str,
    *present: str,
    depth: int = PLAIN,
    example: dict[str, Any] = X,
    **init: str,
) -> str:
    """The repaired text, which scripts, holds these pieces, and needed no deeper rewrite."""
    text = HEADER + textwrap.dedent(source)
    bench = Bench(path / "net.py", text, example, init)
    assert bench.report.torchscript.script.ok is False, "the case scripts as it stands"
    done = bench.repaired()
    left = [item.message for item in done.state.script.failures]
    assert done.whole, (left, done.titles, done.text[len(HEADER) :])
    assert done.depth == depth, done.titles
    for piece in present:
        assert piece in done.text, done.text[len(HEADER) :]
    return done.text
