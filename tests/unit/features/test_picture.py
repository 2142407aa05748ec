"""The data of the report's page, and that nothing in it becomes markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from sample_reports import CNN, FAILED, tensor

from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Failure, Layer, ScriptAttempt, TorchScript, Variable, Visit
from ts_shape_server.features.html_page import html_page
from ts_shape_server.features.known import Known
from ts_shape_server.features.picture import picture, saved_picture
from ts_shape_server.probing.requests import Inspection
from ts_shape_server.workspace import Workspace

TEXT = """from torch import nn
import torch.nn.functional as F


class SimpleCNN(nn.Module):
    def forward(self, x):
        x = F.relu(self.conv(x))
        for part in self.parts:
            x = part(x)
        if self.never:
            x = self.fc(x)
        return x.flatten(1)
"""
SHAPE = ("B", 16, "H", "W")
PART = Layer("parts.0", "Conv2d", None, (SHAPE,), (SHAPE,), 10, (Visit(9, (SHAPE,), (SHAPE,)),))
REPORT = replace(
    CNN,
    layers=(
        Layer("conv", "Conv2d", 7, (("B", 3, "H", "W"),), (SHAPE,), 448, (Visit(7, (("B", 3, "H", "W"),), (SHAPE,)),)),
        PART,
        replace(PART, name="parts.1"),
        Layer("fc", "Linear", 10, (("B", 3136),), (("B", 10),), 31370, (Visit(99, (("B", 3136),), (("B", 10),)),)),
    ),
    variables=(Variable("x", 7, tensor(*SHAPE)),),
)


def drawn(report: Any = REPORT) -> dict[str, Any]:
    snapshot = Workspace(()).quick("/project/net.py", TEXT)
    return picture(Known("SimpleCNN", report, fresh=True), snapshot)


def nodes() -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in drawn()["flow"]["nodes"]}


def test_a_node_has_the_shapes_of_the_call_in_its_line() -> None:
    found = nodes()
    assert (found["conv"]["type"], found["conv"]["shapes"]) == ("Conv2d", [list(SHAPE)])
    assert found["relu"]["shapes"] == [list(SHAPE)]
    assert found["x"]["shapes"] == [["B", 3, "H", "W"]]


def test_modules_of_a_loop_are_one_node_with_all_their_parameters() -> None:
    found = nodes()["parts"]
    assert (found["times"], found["parameters"], found["loop"]) == (2, 20, 1)


def test_what_the_run_did_not_come_to_has_no_shapes() -> None:
    found = nodes()["fc"]
    assert (found["ran"], found["shapes"]) == (False, [])
    assert nodes()["conv"]["ran"]


def test_symbols_have_the_sizes_of_the_run() -> None:
    assert drawn()["example"] == {"B": 2, "H": 28, "W": 28}


def test_a_class_that_does_not_run_has_its_reason_and_no_flow() -> None:
    found = drawn(FAILED)
    assert found["reason"]["message"] == "`self.conv2` takes 32 channels, 16 arrive"
    assert found["flow"]["nodes"] == []
    assert drawn(None)["status"] == "unknown"


def test_a_line_leads_to_the_document_that_has_it_or_nowhere() -> None:
    """The lines of a notebook's module are those of its cells; some are of no cell, and some files cannot be opened."""
    elsewhere = Failure("call-mismatch", "It does not fit.", Location("/project/train.py", Range(3, 0, 3, 4)))
    nowhere = Failure("script-error", "It does not script.", Location("/project/net.py", Range(11, 0, 11, 4)))
    report = replace(REPORT, mismatches=(elsewhere,), torchscript=TorchScript(ScriptAttempt(False, (nowhere,))))

    def where(path: str, line: int) -> tuple[str, int] | None:
        return (f"cell:{path}", line - 4) if path == "/project/net.py" and line < 11 else None

    snapshot = Workspace(()).quick("/project/net.py", TEXT)
    found = picture(Known("SimpleCNN", report, fresh=True), snapshot, where)
    assert (found["uri"], found["line"]) == ("cell:/project/net.py", report.line - 4)
    conv = found["layers"][0]
    assert (conv["uri"], conv["line"]) == ("cell:/project/net.py", 3)
    node = next(item for item in found["flow"]["nodes"] if item["name"] == "conv")
    assert (node["uri"], node["line"]) == ("cell:/project/net.py", 3)
    assert [(item["uri"], item["line"], item["file"]) for item in found["mismatches"]] == [(None, 3, "train.py")]
    assert [(item["uri"], item["line"], item["file"]) for item in found["script"]["failures"]] == [(None, 11, "")]


def test_a_saved_file_has_its_facts_and_leads_nowhere() -> None:
    found = Inspection(Path("/p/net.pt"), "script", "A scripted module.", "solved", REPORT, ("Made by torch 2.13.",))
    told = saved_picture(found)
    assert told is not None
    assert (told["name"], told["line"], told["uri"]) == ("net.pt", None, None)
    assert {"A scripted module.", "Made by torch 2.13."} <= set(told["evidence"])
    assert told["flow"] == {"nodes": [], "edges": []} and len(told["layers"]) == 4
    assert {item["uri"] for item in told["layers"]} == {None}
    assert "" not in told["evidence"]
    without = saved_picture(Inspection(Path("/p/net.pt"), "data", "It holds no module.", facts=("4 tensors",)))
    assert (without["note"], without["facts"]) == ("It holds no module.", ["4 tensors"])


def test_nothing_of_a_report_becomes_markup() -> None:
    hostile = "</script><script>alert(1)</script><!--"
    page = html_page([drawn(replace(REPORT, evidence=(hostile,)))], f"<b>{hostile}")
    assert hostile not in page
    title = re.search(r"<title>(.*?)</title>", page)
    assert title is not None and "<" not in title[1]
    data = re.search(r'<script type="application/json" id="reports">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert hostile in json.loads(data[1])[0]["evidence"][-1]


def test_the_page_needs_no_network_and_runs_its_own_script_alone() -> None:
    page = html_page([drawn()], "net")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and policy[1].startswith("default-src 'none'")
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy[1])
    assert nonce is not None and page.count(f'<script nonce="{nonce[1]}">') == 1
    assert not re.search(r'(src|href)="https?:', page)
