"""Compiling a module costs what its classes cost, not what its instances do."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from ts_shape_server.agent.script import edits
from ts_shape_server.agent.script.compiler import Compiler
from ts_shape_server.agent.script.sources import Sources

OVERLOADED = """
class Part(nn.Module):
    def __init__(self, scale: int):
        super().__init__()
        self.scale = scale

    @torch.jit._overload_method
    def forward(self, x: List[Tensor]) -> Tensor:
        pass

    @torch.jit._overload_method
    def forward(self, x: Tensor) -> Tensor:
        pass

    def forward(self, x):
        return x * self.scale if isinstance(x, Tensor) else x[0]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(*(Part(number) for number in range(8)))

    def forward(self, x):
        return self.parts(x)
"""


def test_the_source_of_a_class_is_read_once_for_all_its_instances(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = load(OVERLOADED)
    read: list[str] = []
    original = inspect.getsourcelines
    monkeypatch.setattr(inspect, "getsourcelines", lambda item: read.append(item.__qualname__) or original(item))
    compiler = Compiler(run.build())
    assert compiler() is None and compiler.scripted is not None
    assert read.count("Part") == 1, read


REPEATED = """
class Part(nn.Module):
    def forward(self, x):
        return x.relu()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(*(Part() for _ in range(8)))

    def forward(self, x):
        return self.parts(x)
"""


def test_a_method_is_parsed_once_until_it_is_edited(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = load(REPEATED)
    read: list[str] = []
    frontend: Any = torch.jit.frontend
    original = frontend.build_def
    monkeypatch.setattr(
        frontend, "build_def", lambda *parts, **words: read.append(parts[1].name) or original(*parts, **words)
    )
    with Sources(edits.apply) as sources:
        compiler = Compiler(run.build(), sources)
        assert compiler() is None
        # That of the parts and that of the net; torch's own layers are kept for longer.
        before = read.count("forward")
        assert before <= 3, read
        assert compiler() is None
        assert read.count("forward") == before
        part = next(item for item in sources.functions.values() if "relu" in item.source)
        sources.edits[part.key] = [lambda tree: None]
        assert compiler() is None
        assert read.count("forward") == before + 1
