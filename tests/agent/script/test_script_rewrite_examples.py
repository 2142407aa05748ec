"""The examples in the docstrings of rewrites, proven by torch: what is made scripts and computes the same."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from repairs import Bench
from rewrite_examples import Example, examples

from ts_shape_server.repair import scripts


def missing(example: Example) -> list[str]:
    """The libraries that an example imports and that are not here."""
    names = re.findall(r"^(?:import|from) (\w+)", example.before, re.MULTILINE)
    return [name for name in names if importlib.util.find_spec(name) is None]


@pytest.mark.parametrize("example", [item for item in examples() if item.after is not None], ids=str)
def test_an_example_scripts_as_it_is_written(tmp_path: Path, example: Example) -> None:
    if missing(example):
        pytest.skip(f"needs {', '.join(missing(example))}")
    bench = Bench(tmp_path / "net.py", example.before, example.inputs, {})
    assert not scripts(bench.report.torchscript), "the example scripts as it stands"
    done = bench.repaired()
    assert done.whole, [item.message for item in done.state.script.failures]
    assert done.text == example.after
