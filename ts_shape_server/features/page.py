"""The report of a class as a page of markdown: the hover, then every layer, every local and every reason."""

from __future__ import annotations

from collections.abc import Sequence

from ts_shape_server.contract.report import Failure, Layer, Report
from ts_shape_server.features import words
from ts_shape_server.features.folding import folded
from ts_shape_server.features.hover import class_hover, code, plain, row
from ts_shape_server.features.known import Known

_MOST_ROWS = 400


def page(known: Known) -> str:
    report = known.report
    parts = [f"# {plain(known.name)}", class_hover(known)]
    if report is not None:
        found = folded(report.layers)
        parts += [_layers("Layers", found.shown), _inside(found.inside), _locals(report)]
        parts += _failures("What keeps it from scripting", report.torchscript.script.failures)
        parts += _failures("What tracing would freeze", report.torchscript.trace.failures)
        parts += _failures("Calls that do not fit", report.mismatches)
        if found.inside:
            parts.append(_layers("All layers", report.layers[:_MOST_ROWS]))
        parts.append(f"_{plain(report.path)}, line {report.line}, found in {report.elapsed_ms} ms._")
    return "\n\n".join(part for part in parts if part) + "\n"


def _inside(count: int) -> str:
    return f"{count} more inside of these: see below." if count else ""


def _layers(title: str, layers: Sequence[Layer]) -> str:
    rows = []
    for item in layers:
        cells = (
            code(item.name),
            plain(item.type),
            _dims(item.inputs),
            _dims(item.outputs),
            words.count(item.parameters),
        )
        rows.append(row(*cells))
    head = [f"## {title}", "", "| layer | type | in | out | parameters |", "| --- | --- | --- | --- | ---: |"]
    return "\n".join([*head, *rows]) if rows else ""


def _dims(shapes: tuple[tuple[int | str, ...], ...]) -> str:
    # A shape that breaks into several lines of a narrow cell cannot be read.
    return plain(", ".join(words.dims(item).replace(" ", "\N{NO-BREAK SPACE}") for item in shapes))


def _locals(report: Report) -> str:
    rows = [
        row(str(item.line), code(item.name), code(words.value(item.value))) for item in report.variables[:_MOST_ROWS]
    ]
    return (
        "\n".join(["## Locals of forward", "", "| line | name | value |", "| ---: | --- | --- |", *rows])
        if rows
        else ""
    )


def _failures(title: str, failures: tuple[Failure, ...]) -> list[str]:
    if not failures:
        return []
    parts = [f"## {title}"]
    for item in failures:
        place = f" (line {item.location.range.line})" if item.location is not None else ""
        parts.append(f"- **{plain(item.code)}**{place}: {plain(item.message)}")
    return parts
