"""A class gets what the classes that make it give to it when they run."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.agent import clock
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import Parents, report_class, solve
from ts_shape_server.agent.infer.facts import parents as parents_module
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ClassAsked, ParentAsked, Pinned
from ts_shape_server.contract.report import Report

HEAD = "import copy\nimport torch\nfrom torch import nn\n"
NET = (
    HEAD
    + """
class Layer(nn.Module):
    def __init__(self, width, norm):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.norm = norm

    def forward(self, x, mask=None):
        return self.norm(self.fc(x))


class Stack(nn.Module):
    def __init__(self, layer, count):
        super().__init__()
        self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(count)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x, torch.ones(x.shape[1], dtype=torch.bool))
        return x


class Head(nn.Module):
    def __init__(self, width=4, scale=1.0):
        super().__init__()
        self.fc = nn.Linear(width, 2)

    def forward(self, x, positions):
        return self.fc(x + positions)


class Whole(nn.Module):
    def __init__(self, words=50, width=24):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.stack = Stack(Layer(width, nn.LayerNorm(width)), 2)
        self.other = Head(width, scale=2.0)
        self.head = Head(width)

    def forward(self, tokens):
        x = self.stack(self.words(tokens))
        return self.head(x, torch.arange(x.shape[1])[None, :, None])


class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Only(3)
        raise RuntimeError("no")


class Unfed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.part = Only(width)

    def forward(self, x):
        raise RuntimeError("no")


class Only(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, 2)

    def forward(self, x):
        return self.fc(x)
"""
)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


def report(folder: Path, name: str, parents: list[str], before: str = "", init: str = "") -> dict[str, Any]:
    """The report of a class whose parents are named; `before` is reported first, by the same process.
    `init` are pinned arguments of the parents.
    """
    path = folder / "made_net.py"
    path.write_text(NET, "utf-8")
    specification = importlib.util.spec_from_file_location("made_net", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["made_net"] = module
    specification.loader.exec_module(module)
    context = Context(str(path), str(folder), NET, vars(module), clock.now() + 60, stages=("example", "symbols"))
    found: list[str] = []

    def find(where: str, parent: str) -> Any:
        found.append(parent)
        return getattr(module, parent), context

    known = Parents(find, frozenset((str(path), parent) for parent in parents))
    classes = [ClassAsked(before)] if before else []
    pinned = Pinned(json.loads(init or "{}"))
    classes.append(ClassAsked(name, parents=tuple(ParentAsked(str(path), parent, pinned) for parent in parents)))
    reports: list[Report] = []
    for asked in classes:
        report_class(getattr(module, asked.name), asked, context, reports.append, known)
    assert before not in found
    last = schema.write(reports[-1])
    assert schema.read(Report, last) == reports[-1]
    assert last["status"] == "ok", last["reason"]
    return last


@pytest.mark.parametrize(
    ("name", "init", "dims"),
    [
        ("Stack", {"layer": "Layer(24, nn.LayerNorm(24))", "count": "2"}, {"x": 3}),
        ("Layer", {"width": "24", "norm": "nn.LayerNorm(24)"}, {"x": 3}),
        ("Head", {"width": "24"}, {"x": 3, "positions": 3}),
    ],
)
@pytest.mark.parametrize("before", ["", "Whole"])
def test_a_part_gets_what_its_parent_gives(
    tmp_path: Path, name: str, init: dict[str, str], dims: dict[str, int], before: str
) -> None:
    found = report(tmp_path, name, ["Whole"], before)
    assert {key: item["expr"] for key, item in found["init"]["args"].items()} == init
    assert {item["name"]: len(item["dims"]) for item in found["inputs"] if not item.get("optional")} == dims
    assert "a run of Whole" in found["evidence"]


def test_a_parent_without_inputs_says_how_its_parts_are_made(tmp_path: Path) -> None:
    made = report(tmp_path, "Only", ["Unfed"], init='{"width": "7"}')["init"]["args"]["width"]
    assert (made["expr"], made["from"]) == ("7", "the constructor of Unfed")


def test_a_guess_for_a_parent_without_inputs_says_nothing(tmp_path: Path) -> None:
    assert report(tmp_path, "Only", ["Unfed"])["init"]["args"]["width"]["from"] == "guess"


def test_a_parent_that_fails_is_no_evidence(tmp_path: Path) -> None:
    assert report(tmp_path, "Only", ["Fails"])["evidence"] == []


def test_what_ran_as_a_part_is_not_solved_for_its_own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solved: list[str] = []
    original = solve.for_parts

    def noted(case: solve.Case) -> Iterator[Any]:
        solved.append(case.cls.__name__)
        return original(case)

    monkeypatch.setattr(solve, "for_parts", noted)
    assert report(tmp_path, "Layer", ["Whole", "Stack"])["evidence"] == ["a run of Whole"]
    assert solved == ["Whole"]
    solved.clear()
    report(tmp_path, "Only", ["Fails", "Stack"])
    assert solved == ["Fails", "Stack"]


def test_no_more_parents_are_run_than_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solved: list[str] = []
    original = solve.for_parts

    def noted(case: solve.Case) -> Iterator[Any]:
        solved.append(case.cls.__name__)
        return original(case)

    monkeypatch.setattr(solve, "for_parts", noted)
    monkeypatch.setattr(parents_module, "MAXIMUM", 1)
    assert report(tmp_path, "Layer", ["Whole", "Fails"])["evidence"] == ["a run of Whole"]
    assert solved == ["Whole"]
