"""The report of a class as data for a picture: the flow as nodes and edges, the layers as a tree, and what a reader may
try. The one source of the page in an editor and of ``show --html``; how it is drawn is in the page.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ts_shape_server.analysis.dataflow import Flow, Node, flow
from ts_shape_server.analysis.modules import FileClasses
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.dims import Dim
from ts_shape_server.contract.report import Failure, Layer, Report, ScriptAttempt, ValueSpec, Visit
from ts_shape_server.features import words
from ts_shape_server.features.hover import script_state
from ts_shape_server.features.known import Known
from ts_shape_server.probing.requests import Inspection
from ts_shape_server.workspace import Snapshot

Json = dict[str, Any]
Where = Callable[[str, int], "tuple[str, int] | None"]
"""Gives the URI of the document that has a line of a path, and which line it is there; None where there is none."""
_MOST_LAYERS = 2000


def in_no_document(path: str, line: int) -> None:
    """For a page that cannot lead anywhere: it is read without an editor."""
    return


def picture(known: Known, snapshot: Snapshot, where: Where = in_no_document) -> Json:
    """Everything that the page shows of one class. What is told with a line leads to where that is."""
    report, own = known.report, snapshot.path
    made: Json = {"name": known.name, "path": snapshot.path, "note": known.note(), "status": "unknown"}
    if report is None:
        return made
    ok = report.status == "ok"
    seen = flow(snapshot.classes.tree, known.name) if ok else Flow()
    return {
        **made,
        "status": report.status,
        **_place(where, own, report.line),
        "signature": words.signature(report) if ok else "",
        "reason": None if report.reason is None else _failure(where, own, report.reason),
        "parameters": words.many(report.parameters, "parameter") if report.parameters < 1000 else _counted(report),
        "inputs": [_input(item.name, item.value, item.optional) for item in report.inputs],
        "outputs": [_value(item) for item in report.outputs],
        "symbols": {
            name: {"min": item.minimum, "max": item.maximum, "step": item.multiple_of, "words": words.symbol(item)}
            for name, item in report.symbols
        },
        "constraints": list(report.constraints),
        "example": _example_sizes(report),
        "flow": _flow(where, report, own, seen),
        "layers": [_layer(where, own, item) for item in report.layers[:_MOST_LAYERS]],
        "script": _attempt(where, own, report.torchscript.script, "script"),
        "trace": _attempt(where, own, report.torchscript.trace, "trace"),
        "mismatches": [_failure(where, own, item) for item in report.mismatches],
        "evidence": _evidence(report),
    }


def saved_picture(found: Inspection) -> Json:
    """The same of the module in a saved file, which leads nowhere; where it is not known what goes in, what the file is
    and what is in it.
    """
    report = found.report
    if report is None:
        said = {"note": found.message, "status": "file", "facts": list(found.facts)}
        return {"name": found.path.name, "path": str(found.path), **said}
    told = replace(report, notes=(found.message, *found.facts, words.SPEC_SOURCES.get(found.source, ""), *report.notes))
    nothing = Snapshot(str(found.path), SourceText(""), FileClasses((), {}, ast.Module([], [])), ())
    made = picture(Known(found.path.name, told, fresh=True), nothing)
    return {**made, "line": None, "evidence": [line for line in made["evidence"] if line]}


def _example_sizes(report: Report) -> dict[str, int]:
    """What each symbol was in the run that the report tells of."""
    found: dict[str, int] = {}
    for item in report.inputs:
        given = report.example.get(item.name)
        sizes = given.get("tensor") if isinstance(given, Mapping) else None
        for dim, size in zip(item.value.dims or (), sizes or (), strict=False):
            if isinstance(dim, str) and dim.isidentifier():
                found.setdefault(dim, size)
    return found


def _counted(report: Report) -> str:
    return f"{words.count(report.parameters)} parameters, {words.size(report.parameter_bytes)}"


def _value(spec: ValueSpec) -> Json:
    dims = None if spec.dims is None else list(spec.dims)
    return {"text": words.value(spec), "dims": dims, "items": [_value(item) for item in spec.items]}


def _input(name: str, spec: ValueSpec, optional: bool) -> Json:
    return {"name": name, "optional": optional, **_value(spec)}


def _place(where: Where, path: str, line: int | None) -> Json:
    """The line as a reader counts it, and the URI of the document that it is in, if one can be opened."""
    place = None if line is None else where(path, line)
    return {"line": line, "uri": None} if place is None else {"line": place[1], "uri": place[0]}


def _layer(where: Where, path: str, item: Layer) -> Json:
    return {
        "name": item.name,
        "type": item.type,
        **_place(where, path, item.line),
        "inputs": [list(dims) for dims in item.inputs],
        "outputs": [list(dims) for dims in item.outputs],
        "parameters": item.parameters,
    }


def _failure(where: Where, path: str, item: Failure) -> Json:
    told: Json = {"code": item.code, "message": item.message, "file": ""}
    if item.location is None:
        return {**told, "line": None, "uri": None}
    there = item.location.path
    place = _place(where, there, item.location.range.line)
    return {**told, **place, "file": "" if there == path else Path(there).name}


def _attempt(where: Where, path: str, item: ScriptAttempt, word: str) -> Json:
    return {
        "ok": item.ok,
        "said": script_state(item, word),
        "failures": [_failure(where, path, failure) for failure in item.failures],
    }


def _evidence(report: Report) -> list[str]:
    said = [
        f"{name} = {item.expression}" + (f" (from {item.source})" if item.source else "") for name, item in report.init
    ]
    ran = words.example(report)
    lines = [f"Built with {words.listed(said)}."] if said else []
    end = "" if report.status == "ok" else " up to the line that fails"
    lines += [f"Ran with {ran}{end}."] if ran else []
    decided = [item for item in report.evidence if item and item != "guess"]
    lines += [f"Decided by {words.listed(decided)}."] if decided else []
    return [*lines, *report.notes]


def _flow(where: Where, report: Report, path: str, found: Flow) -> Json:
    layers = {item.name: item for item in report.layers}
    nodes = [{**_node(report, layers, item), **_place(where, path, item.first_line)} for item in found.nodes]
    edges = [{"source": edge.source, "target": edge.target, "back": edge.back} for edge in found.edges]
    return {"nodes": nodes, "edges": edges}


def _node(report: Report, layers: Mapping[str, Layer], node: Node) -> Json:
    lines = range(node.first_line, node.last_line + 1)
    seen = _seen(report, lines)
    told: Json = {
        "id": node.number,
        "kind": node.kind,
        "name": node.name,
        "loop": node.loop,
        "type": "",
        "times": 1,
        "parameters": 0,
        "shapes": [],
        "ran": seen or node.kind in ("input", "output"),
    }
    if node.kind == "input":
        spec = next((item.value for item in report.inputs if item.name == node.name), None)
        return {**told, "shapes": [list(spec.dims)] if spec is not None and spec.dims is not None else []}
    if node.kind == "output":
        return {**told, "shapes": [list(item.dims) for item in report.outputs if item.dims is not None][:1]}
    if node.kind == "layer":
        called = _modules(layers, node)
        visits = [visit for item in called for visit in item.visits if visit.line in lines]
        ran = bool(visits) or (seen and not any(item.visits for item in called))
        types = list(dict.fromkeys(item.type for item in called))
        return {
            **told,
            "type": " or ".join(types[:2]),
            "times": len(called) or 1,
            "parameters": sum(item.parameters for item in called),
            "shapes": _outputs(visits, called) if ran else [],
            "ran": ran,
        }
    last = range(node.value_line, node.last_line + 1)
    values = [item.value for item in report.variables if item.name == node.variable and item.line in last]
    return {**told, "shapes": _distinct(value.dims for value in values)}


def _seen(report: Report, lines: range) -> bool:
    """Whether the run came to these lines."""
    locals_ = any(item.line in lines for item in (*report.uses, *report.variables))
    return locals_ or any(visit.line in lines for item in report.layers for visit in item.visits)


def _modules(layers: Mapping[str, Layer], node: Node) -> list[Layer]:
    """The layers that a node stands for: one, or those of a container."""
    if not node.pattern:
        return [layers[node.name]] if node.name in layers else []
    container, _, position = node.name.partition("[")
    rest = position.rstrip("]")
    found = []
    for name, item in layers.items():
        inner = name.removeprefix(f"{container}.")
        parts = inner.split(".")
        wanted = 2 if rest else 1
        if inner != name and len(parts) == wanted and parts[0].isdigit() and (not rest or parts[1] == rest):
            found.append(item)
    return found


def _outputs(visits: Sequence[Visit], layers: Sequence[Layer]) -> list[list[Dim]]:
    found = [visit.outputs[0] for visit in visits if visit.outputs]
    return _distinct(found or [item.outputs[0] for item in layers if item.outputs])


def _distinct(shapes: Iterable[tuple[Dim, ...] | None]) -> list[list[Dim]]:
    return [list(item) for item in dict.fromkeys(item for item in shapes if item is not None)]
