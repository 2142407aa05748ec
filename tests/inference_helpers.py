"""The report of a class given as text, and checks of what it says."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ts_shape_server.agent import clock, runs
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import Parents, report_class
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ClassAsked, ParentAsked
from ts_shape_server.contract.report import Report

HEADER = """import torch
import torch.nn as nn
import torch.nn.functional as F
from typing import Dict, List, Optional, Tuple
from torch import Tensor

"""


def report(
    tmp_path: Path,
    source: str,
    evidence: list[dict[str, Any]] | None = None,
    parents: Sequence[str] = (),
    **pragmas: Any,
) -> dict[str, Any]:
    """The last report of the class `Net`; `parents` are the classes of the source that make one."""
    path = tmp_path / f"case_{abs(hash(source))}.py"
    text = HEADER + source
    path.write_text(text, encoding="utf-8")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    found: list[Report] = []
    context = Context(
        str(path), str(tmp_path), text, vars(module), clock.now() + 40, stages=("example", "symbols", "trail")
    )
    asked = schema.read(ClassAsked, {"name": "Net", "evidence": evidence or [], "pragmas": pragmas})
    asked = replace(asked, parents=tuple(ParentAsked(str(path), name) for name in parents))
    known = Parents(lambda _, name: (getattr(module, name), context))
    report_class(module.Net, asked, context, found.append, known)
    last = schema.write(found[-1])
    if last["status"] == "ok":
        run = runs.from_report(module.Net, vars(module), found[-1])
        run.call(run.build())
        if last["second"] is not None:
            run.call(run.build(), second=True)
    return last


def check(tmp_path: Path, source: str, inputs: dict[str, Any], output: Any) -> dict[str, Any]:
    """The report must be `ok`; `inputs` maps parameters to dims, types or both, `output` is the first output's dims."""
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    for item in found["inputs"]:
        if item["name"] in inputs:
            wanted = inputs[item["name"]]
            seen = item["type"] if isinstance(wanted, str) else dims_of(item)
            assert seen == wanted, item
    assert found["outputs"][0].get("dims") == output
    return found


def dims_of(item: dict[str, Any]) -> Any:
    if item.get("items"):
        return [dims_of(part) for part in item["items"]]
    return item.get("dims")


def net(init: str, forward: str, parameters: str = "x", arguments: str = "") -> str:
    lines = "\n".join(f"        {line}" for line in init.split("; "))
    body = "\n".join(f"        {line}" for line in forward.split("; "))
    return (
        f"class Net(nn.Module):\n    def __init__(self{arguments}):\n        super().__init__()\n{lines}\n\n"
        f"    def forward(self, {parameters}):\n{body}\n"
    )
