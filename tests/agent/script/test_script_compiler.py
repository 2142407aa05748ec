"""Compiling a module costs what its classes cost, not what its instances do."""

from __future__ import annotations

import inspect
import warnings
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


MARKED = """
class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    @property
    def width(self) -> int:
        return self.layer.out_features

    @torch.jit.export
    def twice(self, x: Tensor) -> Tensor:
        return x * 2

    @torch.jit.ignore
    def told(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def half(self) -> Tensor:
        return self.layer.weight / 2

class Net(Base):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({"a": nn.Linear(4, 4)})

    def forward(self, x):
        for part in self.parts.values():
            x = part(x)
        return self.told(x) * self.width
"""


def test_a_module_has_all_that_its_own_classes_mark_for_the_compiler(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also `half`, which every module has, where a class has another one."""
    run, _ = load(MARKED)
    looked_at: list[str] = []
    original: Any = torch._jit_internal.get_torchscript_modifier
    monkeypatch.setattr(
        torch._jit_internal,
        "get_torchscript_modifier",
        lambda item: looked_at.append(getattr(item, "__name__", "")) or original(item),
    )
    compiler = Compiler(run.build())
    assert compiler() is None and compiler.scripted is not None
    assert "register_forward_hook" not in looked_at
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        usual = torch.jit.script(run.build())
    assert compiler.scripted._c._method_names() == usual._c._method_names()
    assert compiler.scripted.code == usual.code
    assert "register_forward_hook" in looked_at, "what is usual has come back"
