"""What each command does, and the exit code that says how it went: 0 well, 1 something was found, 2 no run at all."""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from ts_shape_server.analysis.modules import ModuleClass, names_taken
from ts_shape_server.analysis.pragmas import input_problem
from ts_shape_server.cli import tables
from ts_shape_server.cli.changes import reached_files, share
from ts_shape_server.cli.fixing import fix
from ts_shape_server.cli.formats import FORMATS, sarif, shown_path, summed
from ts_shape_server.cli.runs import (
    CommandProblem,
    Runner,
    Unreadable,
    cores,
    must_have,
    must_parse,
    no_module,
    python_files,
    target,
    tell,
)
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Failure, Report
from ts_shape_server.features import words
from ts_shape_server.features.diagnostics import Finding, about_syntax, findings, once
from ts_shape_server.features.html_page import html_page
from ts_shape_server.features.known import Known
from ts_shape_server.features.picture import picture, saved_picture
from ts_shape_server.probing import landing
from ts_shape_server.probing.requests import ExportOrder

MOST_JOBS = 16
"""Each probe may take gigabytes of memory."""
Flags = Mapping[str, Any]
Checked = tuple[list[Finding], tuple[Report, ...]]


async def check(options: argparse.Namespace, flags: Flags) -> int:
    """All diagnostics of all classes; 1 if one of them is an error. As text those about TorchScript are summed up to a
    line a class, unless all are asked for.
    """
    paths = python_files(options.paths)
    if options.changed is not None:
        paths = reached_files(paths, options.changed)
    if options.shard is not None:
        paths = share(paths, options.shard)
    async with Runner(flags, options.paths, tell, max(1, min(cores(), len(paths), MOST_JOBS))) as runner:
        runner.must_probe()
        checked = await _all_checked(runner, paths)
    found = once(item for one in checked for item in one[0])
    reports = [item for one in checked for item in one[1]]
    shown = found if options.all or options.format != "text" else summed(found)
    part = "" if options.shard is None else f"{options.shard[0]}-of-{options.shard[1]}"
    output = sarif(shown, reports, part) if options.format == "sarif" else FORMATS[options.format](shown, reports)
    if output:
        print(output)
    if options.format == "text":
        errors = sum(item.severity == "error" for item in found)
        tell(
            f"{words.many(len(reports), 'class', 'classes')} in {words.many(len(paths), 'file')}: "
            f"{words.many(errors, 'error')}, {words.many(len(found) - errors, 'other finding')}."
            f"{'' if len(shown) == len(found) else ' --all shows every finding about TorchScript.'}"
        )
    return 1 if any(item.severity == "error" for item in found) else 0


async def _all_checked(runner: Runner, paths: list[str]) -> list[Checked]:
    """What each file comes to, in the order of the paths; as many at once as there may be probes, and one to read."""
    turns = asyncio.Semaphore(runner.settings.jobs + 1)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        counted = bar.add_task("Checking", total=len(paths))

        async def one(path: str) -> Checked:
            async with turns:
                found = await _checked(runner, path)
            bar.advance(counted)
            return found

        tasks = [asyncio.ensure_future(one(path)) for path in paths]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()


async def _checked(runner: Runner, path: str) -> Checked:
    try:
        snapshot = await runner.snapshot(path)
    except Unreadable as problem:
        tell(str(problem))
        return [], ()
    found = about_syntax(path, snapshot.classes.syntax_error)
    if not snapshot.modules:
        return found, ()
    probed = await runner.probe(snapshot)
    known = {item.name: Known(item.name, item, fresh=True) for item in probed.reports}
    purposes = await asyncio.to_thread(runner.workspace.purposes, snapshot)
    return [*found, *findings(path, snapshot.places(purposes), known, runner.settings)], probed.reports


async def show(options: argparse.Namespace, flags: Flags) -> int:
    """Reports of the classes named, as text, as JSON or as a page; one agent serves all files."""
    targets = [target(item) for item in options.files]
    out = tables.console()
    shown = 0
    pictures: list[Mapping[str, Any]] = []
    async with Runner(flags, [item.path for item in targets], tell) as runner:
        runner.must_probe()
        for item in targets:
            snapshot = await runner.snapshot(item.path)
            must_parse(item, snapshot)
            must_have(item, [module.name for module in snapshot.modules])
            probed = await runner.probe(snapshot, [item.class_name] if item.class_name else None)
            for report in probed.reports:
                shown += 1
                if options.html:
                    pictures.append(picture(Known(report.name, report, fresh=True), snapshot))
                elif options.json:
                    print(json.dumps(schema.write(report), ensure_ascii=False), flush=True)
                else:
                    tables.show(report, out)
    if not shown:
        raise no_module(targets)
    if options.html:
        _write_page(Path(options.html), html_page(pictures, ", ".join(str(item["name"]) for item in pictures[:4])))
    return 0


def _write_page(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandProblem(f"{path} cannot be written: {error.strerror or error}.") from None


def constructor(texts: list[str]) -> dict[str, str]:
    """``--init 'a=1, b="x"'`` as expressions by name."""
    found: dict[str, str] = {}
    for text in texts:
        try:
            call = ast.parse(f"f({text})", mode="eval").body
        except (SyntaxError, ValueError):
            raise CommandProblem(f"--init takes name=expression, not {text}.") from None
        plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if not isinstance(call, ast.Call) or not plain or call.args or not all(item.arg for item in call.keywords):
            raise CommandProblem(f"--init takes name=expression, not {text}.")
        found.update({str(item.arg): ast.unparse(item.value) for item in call.keywords})
    return found


def inputs(texts: list[str]) -> dict[str, str]:
    """``--input 'x=(2, 3, 28, 28)'`` as specs by name."""
    found: dict[str, str] = {}
    for text in texts:
        name, given, spec = text.partition("=")
        if not given or not name.strip().isidentifier() or not spec.strip():
            raise CommandProblem(f"--input takes name=spec such as 'x=(2, 3, 28, 28)', not {text}.")
        found[name.strip()] = spec.strip()
    return found


def must_take(module: ModuleClass | None, given: Mapping[str, str]) -> None:
    """Raise for what ``--input`` gives to no parameter of `forward`, or as no shape and no value."""
    taken = names_taken(module.forward if module is not None else None)
    for name, spec in given.items():
        wrong = input_problem(name, spec, taken)
        if wrong is not None:
            raise CommandProblem(f"--input {name}={spec}: {wrong}")


async def export(options: argparse.Namespace, flags: Flags) -> int:
    """Export one class; 1 if it is refused or does not verify."""
    item = target(options.target)
    init, given = constructor(options.init), inputs(options.input)
    order = ExportOrder(
        Path(options.output or ".").absolute(),
        options.method,
        options.force,
        Path(options.checkpoint) if options.checkpoint else None,
        options.dtype or "",
    )
    refused = landing.refusal(order)
    if refused is not None:
        raise CommandProblem(refused)
    async with Runner(flags, [item.path], tell) as runner:
        runner.must_probe()
        snapshot = await runner.snapshot(item.path)
        must_parse(item, snapshot)
        names = [module.name for module in snapshot.modules]
        must_have(item, names)
        if item.class_name is None and len(names) != 1:
            raise CommandProblem(
                f"Name the class as FILE:CLASS: {shown_path(item.path)} has {words.listed(names) or 'none'}."
            )
        name = item.class_name or names[0]
        must_take(snapshot.module(name), given)
        probed = await runner.probe(snapshot, [name], init, given)
        if not probed.reports:
            raise CommandProblem(f"{name} is skipped by a comment.")
        report = probed.reports[0]
        if report.status != "ok":
            tell(f"{name} cannot be exported: {report.reason.message if report.reason else report.status}")
            return 1
        result = await runner.service.export(
            probed.request,
            name,
            report,
            order,
            tell if options.verbose or sys.stderr.isatty() else lambda message: None,
        )
    for told in [*(item.message for item in report.mismatches), *report.notes, *result.notes]:
        tell(told)
    if result.ok:
        print(result.message)
        return 0
    tell(result.message)
    for place in _places(result.failure):
        tell(place)
    return 1


def _places(failure: Failure | None) -> Iterator[str]:
    """The further places at which an export is refused, a line for each."""
    for place in failure.related if failure is not None and failure.code == "export-error" else ():
        if place.message:
            yield f"  {shown_path(place.path)}:{place.range.line}:{place.range.column + 1}: {place.message}"


async def inspect(options: argparse.Namespace, flags: Flags) -> int:
    """What saved files hold and what goes into them; 1 if that of one of them could not be told."""
    out = tables.console()
    untold = 0
    pictures: list[Mapping[str, Any]] = []
    async with Runner(flags, options.files, tell) as runner:
        runner.must_probe()
        for name in options.files:
            found = await runner.service.inspect(Path(name))
            runner.must_probe()
            untold += not found.known
            if options.html:
                pictures.append(saved_picture(found))
            if options.html and found.report is not None:
                continue
            if options.json:
                print(json.dumps(found.to_json(), ensure_ascii=False), flush=True)
            else:
                tables.inspection(found, out)
    if pictures:
        _write_page(Path(options.html), html_page(pictures, ", ".join(str(item["name"]) for item in pictures[:4])))
    return 1 if untold else 0


async def info(options: argparse.Namespace, flags: Flags) -> int:
    """Interpreter, torch, sandbox; 0 also where there is none, since that is the answer."""
    async with Runner(flags, ["."], tell) as runner:
        await runner.service.start()
        facts = runner.service.info()
    if options.json:
        print(json.dumps(facts, ensure_ascii=False, default=str))
    else:
        tables.info(facts, tables.console())
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace, Flags], Coroutine[Any, Any, int]]] = {
    "check": check,
    "show": show,
    "export": export,
    "inspect": inspect,
    "info": info,
    "fix": fix,
}
