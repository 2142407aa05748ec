"""Reports for a person at a terminal: signature, symbols, a table of layers, every reason. Plain text in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ts_shape_server.cli.formats import shown_path
from ts_shape_server.contract.report import Failure, Layer, Report
from ts_shape_server.features import words
from ts_shape_server.features.folding import folded
from ts_shape_server.features.hover import script_state
from ts_shape_server.probing.requests import Inspection


def console() -> Console:
    """Standard output; markup and colours on a terminal only, and no line is ever broken in a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, no_color=True, soft_wrap=True, width=240)


def show(report: Report, out: Console) -> None:
    place = f"{shown_path(report.path)}:{report.line}"
    if report.status != "ok":
        out.print(f"[bold]{escape(report.name)}[/bold]  [dim]{escape(place)}[/dim]  [red]{report.status}[/red]")
        if report.reason is not None:
            out.print(f"  {escape(_told(report.reason))}")
        out.print()
        return
    out.print(f"[bold]{escape(words.signature(report))}[/bold]  [dim]{escape(place)}[/dim]")
    for line in words.symbol_lines(report):
        out.print(f"  {escape(line)}")
    if report.init:
        given = ", ".join(f"{name}={item.expression}" for name, item in report.init)
        sources = words.listed(list(dict.fromkeys(item.source for _, item in report.init if item.source)))
        out.print(f"  [dim]built with {escape(given)} ({escape(sources)})[/dim]")
    if ran := words.example(report):
        out.print(f"  [dim]ran with {escape(ran)}[/dim]")
    if report.stubbed:
        out.print(f"  [yellow]stand-ins for {escape(words.listed(report.stubbed))}[/yellow]")
    if report.layers:
        found = folded(report.layers)
        out.print(_layers(found.shown, out))
        if found.inside:
            out.print(f"  [dim]{found.inside} more inside of these: see `show --json`[/dim]")
    for note in report.notes:
        out.print(f"  [dim]{escape(note)}[/dim]")
    states = (script_state(report.torchscript.script, "script"), script_state(report.torchscript.trace, "trace"))
    out.print(f"  {escape(' · '.join(item for item in (words.weight(report), *states) if item))}")
    for failure in (
        *report.torchscript.script.failures,
        *report.torchscript.trace.failures,
        *report.mismatches,
    ):
        out.print(f"  [yellow]{escape(failure.code)}[/yellow] {escape(_told(failure))}")
    out.print()


def inspection(found: Inspection, out: Console) -> None:
    """What a saved file holds, and the report of the module in it."""
    out.print(f"[bold]{escape(shown_path(str(found.path)))}[/bold]  {escape(found.message)}")
    for fact in found.facts:
        out.print(f"  [dim]{escape(fact)}[/dim]")
    if found.report is None:
        out.print()
        return
    if found.known:
        out.print(f"  [dim]{escape(words.SPEC_SOURCES.get(found.source, found.source))}[/dim]")
    show(found.report, out)


def _told(failure: Failure) -> str:
    if failure.location is None:
        return failure.message
    span = failure.location.range
    return f"{shown_path(failure.location.path)}:{span.line}:{span.column + 1}: {failure.message}"


def _layers(layers: Sequence[Layer], out: Console) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for title in ("layer", "type", "in", "out"):
        table.add_column(title, no_wrap=not out.is_terminal)
    table.add_column("parameters", justify="right")
    for item in layers:
        shapes = (", ".join(map(words.dims, item.inputs)), ", ".join(map(words.dims, item.outputs)))
        table.add_row(*map(escape, (item.name, item.type, *shapes, words.count(item.parameters))))
    return table


_ENGINES = {
    "symbolic": "symbolic: torch states what a size has to be",
    "numbers": "numbers: sizes are tried one by one, since this torch states none",
}


def info(facts: Mapping[str, Any], out: Console) -> None:
    sandbox = facts.get("sandbox")
    layers = sandbox.get("layers", {}) if isinstance(sandbox, Mapping) else {}
    rows = [
        ("ts-shape-server", facts.get("version")),
        ("interpreter", facts.get("interpreter")),
        ("found by", facts.get("interpreter_source")),
        ("python", facts.get("python")),
        ("torch", facts.get("torch")),
        ("engine", _ENGINES.get(str(facts.get("engine")))),
        ("sandbox", sandbox.get("tier") if isinstance(sandbox, Mapping) else None),
        *((f"  {name}", state) for name, state in layers.items()),
        ("problem", facts.get("problem")),
    ]
    for name, value in rows:
        if value is not None:
            out.print(f"{name:<16} {escape(str(value))}")
