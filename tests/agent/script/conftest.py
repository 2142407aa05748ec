"""Builds a `Run` from a class in a temporary file."""

from __future__ import annotations

import importlib.util
import itertools
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.agent import clock
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run

HEADER = """\
from typing import *
import torch
from torch import nn, Tensor
import torch.nn.functional as F
"""
NUMBERS = itertools.count()

Load = Callable[..., tuple[Run, Context]]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """`load(source, example=…)`: the class `Net` of a source as a run, with its context."""
    names: list[str] = []

    def make(
        source: str,
        example: dict[str, Any] | None = None,
        second: dict[str, Any] | None = None,
        init: dict[str, str] | None = None,
        seconds: float = 30.0,
        sizes: tuple[dict[str, Any], ...] = (),
        **others: str,
    ) -> tuple[Run, Context]:
        name = f"ts_shape_case_{next(NUMBERS)}"
        for other, text in others.items():
            (tmp_path / f"{other}.py").write_text(HEADER + textwrap.dedent(text), encoding="utf-8")
            names.append(other)
        path = tmp_path / f"{name}.py"
        text = HEADER + textwrap.dedent(source)
        path.write_text(text, encoding="utf-8")
        linecache.checkcache()
        names.append(name)
        specification = importlib.util.spec_from_file_location(name, path)
        assert specification is not None and specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        sys.path.insert(0, str(tmp_path))
        try:
            specification.loader.exec_module(module)
        finally:
            sys.path.remove(str(tmp_path))
        run = Run(module.Net, vars(module), init or {}, example or {"x": {"tensor": [2, 3]}}, second, sizes=sizes)
        return run, Context(str(path), str(tmp_path), text, vars(module), clock.now() + seconds)

    yield make
    for name in names:
        sys.modules.pop(name, None)
