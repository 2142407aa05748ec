"""A report is a claim: nothing in it becomes an image, a link or markup where it is shown, and none of it takes long.

An image would be fetched by the editor, and its address could carry what the probe has read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from sample_reports import CNN, FAILED, LISTS

from ts_shape_server.analysis.places import ClassPlace, Stored
from ts_shape_server.contract import schema
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Argument, Report, Symbol
from ts_shape_server.contract.schema import ContractError
from ts_shape_server.features import hints, hover, words
from ts_shape_server.features.known import Known
from ts_shape_server.features.page import page
from ts_shape_server.probing.requests import Inspection

IMAGE = "![x](https://example.com/?secret)"
TEXTS = (
    IMAGE,
    "[x](command:x)",
    f"`a\n\n{IMAGE}`",
    f"`a\n- {IMAGE}`",
    f"`a | {IMAGE} | b`",
    f"a\n\n```\n\n{IMAGE}",
    f"a\n`````\n{IMAGE}\n````",
    f"~~~\n{IMAGE}",
    "<img src='https://example.com'>",
    "<https://example.com>",
    "\\<b>",
    "\\`<b>`",
    "x\n[x]: https://example.com\n![x]",
    "<!-- ",
)
KEPT = frozenset({"status", "stage", "path", "tensor"})
"""What decides by its value how a report is read."""
ACTIVE = frozenset({"image", "link_open", "html_block", "html_inline"})


def poisoned(value: Any, text: str) -> Any:
    """A report with every text in it replaced, those too that the contract would refuse."""
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(poisoned(item, text) for item in value)
    if isinstance(value, (list, Mapping)):
        return of_json(value, text)
    if is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in fields(value) if item.init and item.name not in KEPT]
        return replace(value, **{name: poisoned(getattr(value, name), text) for name in names})
    return value


def of_json(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [of_json(item, text) for item in value]
    if isinstance(value, Mapping):
        return {key: item if key in KEPT else of_json(item, text) for key, item in value.items()}
    return text if isinstance(value, str) else value


def reports(text: str) -> Iterator[Report]:
    full = replace(LISTS, constraints=("16*H == 32",), notes=("note",), symbols=CNN.symbols, inputs=CNN.inputs)
    for report in (CNN, full, FAILED):
        made = poisoned(report, text)
        yield replace(made, name="Net")
        named = replace(made, init=((text, Argument(text, text)),), symbols=((text, Symbol(1, 9)),))
        yield replace(named, constraints=(text, f"{text} == 1"))


def shown(report: Report) -> Iterator[str]:
    """Everything that is shown as markdown."""
    known = Known(report.name, report, fresh=True)
    yield hover.class_hover(known)
    yield hover.forward_hover(known)
    yield page(known)
    yield hover.saved_file(Inspection(Path("/w/net.pt"), "script", report.path, "", report, report.notes))
    for name in ("x", *(item.name for item in (*report.inputs, *report.layers, *report.variables))):
        yield hover.parameter_hover(known, name) or ""
        yield hover.layer_hover(known, name) or ""
        yield hover.variable_hover(known, name, 14, [14], stored=True) or ""
    span = Range(1, 0, 99, 0)
    names = [item.name for item in report.inputs]
    place = ClassPlace("Net", span, dict.fromkeys(names, (span, None)), frozenset(), False, ())
    stored = [Stored(item.name, item.line, 0, item.line, item.line) for item in report.variables]
    for hint in hints.hints(stored, [place], {"Net": known}, "all", span):
        yield hint.tooltip


def active(markdown: str) -> list[str]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    return [item.type for token in tokens for item in (token, *(token.children or ())) if item.type in ACTIVE]


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_of_a_report_acts_where_it_is_shown(text: str) -> None:
    for report in reports(text):
        for markdown in shown(report):
            assert active(markdown) == [], markdown


@pytest.mark.parametrize(
    "forged",
    [
        {"inputs": [{"name": "x", "type": "Tensor", "dims": ["B\n    import os"]}]},
        {"inputs": [{"name": "x", "type": "Tensor\n"}]},
        {"inputs": [{"name": "x = 1; y", "type": "Tensor"}]},
        {"outputs": [{"type": "Tensor", "dims": [IMAGE]}]},
        {"outputs": [{"type": "Tensor", "dtype": "float32, 3"}]},
        {"variables": [{"name": "a\nb", "line": 1, "type": "Tensor"}]},
        {"layers": [{"name": "fc\n", "type": "Linear"}]},
        {"layers": [{"name": "fc", "type": "Linear", "outputs": [["B; x"]]}]},
        {"symbols": {"B C": {}}},
        {"constraints": ["H == 1\nimport os"]},
        {"init": {"args": {"a, b": {"expr": "1"}}}},
        {"torchscript": {"annotations": [{"owner": "N", "function": "f", "name": "x", "type": "int = 1"}]}},
        {"torchscript": {"annotations": [{"owner": "N()", "function": "f", "name": "x", "type": "int"}]}},
        {"torchscript": {"facts": [{"line": 1, "ran": True, "values": [[1, 0, 1, 1, "a\nb"]], "idle": []}]}},
    ],
)
def test_what_would_reach_an_edit_and_is_of_no_grammar_is_no_report(forged: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=next(iter(forged))):
        schema.read(Report, {**schema.write(CNN), **forged})


@pytest.mark.parametrize("text", TEXTS[:2] + TEXTS[8:10])
def test_the_same_text_acts_where_it_is_not_kept_from_it(text: str) -> None:
    assert active(text)


def test_expressions_without_end_are_not_computed() -> None:
    lines = (f"{'H*W+' * 100_000}1 == 1", *(f"{'H+' * 20}W == {number}" for number in range(300)))
    symbols = tuple((name, replace(CNN.symbols[0][1], minimum=1, maximum=60)) for name in "HW")
    report = replace(CNN, symbols=symbols, constraints=lines)
    began = time.process_time()
    assert len(words.symbol_lines(report)) > 100
    assert time.process_time() - began < 5
