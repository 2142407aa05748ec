"""What goes into a saved module: from the spec inside it, else solved from the archive alone by the same engine.

Runs in the sandbox only: an archive is a stranger's file. Only plain values are unpickled.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from ts_shape_server.agent import clock, infer, load, runs, shares, trees
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.saved import checkpoint, kinds, packages, replay, wrapping
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ClassAsked, FileAsked, InspectJob, Pinned
from ts_shape_server.contract.jobs import InspectAnswer
from ts_shape_server.contract.report import Report

_TITLES = {
    "script": "A scripted module of TorchScript.",
    "trace": "A traced module of TorchScript.",
    "program": "A program of `torch.export`.",
}

_OF_TENSORS = re.compile(r"torch\._utils\..*|torch\.storage\..*|torch\.\w*Storage|torch\.serialization\..*|torch\.Size")
_PLAIN = re.compile(r"collections\.OrderedDict|torch\.(?:device|\w*int\d+|\w*float\d+|bool)")
"""Of the names that a pickle asks for, those that it has for tensors, and those that run nobody's code."""
_SAFE_PROTOCOL = 2
"""The newest protocol of pickles that torch reads in full without running code."""
_ARGUMENTS = ("hyper_parameters", "hparams", "args", "config", "model_args")
"""Where training programs put the arguments of a module's constructor."""


def inspect(job: InspectJob, seconds: float, scratch: str) -> InspectAnswer:
    """What is in the file that an inspect job names. `seconds` of work are there."""
    deadline = clock.now() + seconds
    path = job.archive
    kind = kinds.kind_of(path)
    facts = list(kind.facts)
    if kind.extra:
        facts.append(f"extra files: {', '.join(sorted(kind.extra)[:20])}")
    if kind.name == "pickle":
        return _pickled(path)
    if kind.name not in _TITLES:
        return _answer(kind.name, kind.message, facts)
    embedded = _embedded(kind.spec)
    if embedded is not None:
        return replace(_answer(kind.name, _TITLES[kind.name], facts), source="embedded", report=embedded)
    return _solved(kind, path, facts, deadline, scratch)


def _answer(kind: str, message: str, facts: list[str]) -> InspectAnswer:
    return InspectAnswer(kind, message, facts=tuple(facts))


def _embedded(text: str | None) -> Report | None:
    """The report that an export wrote beside the module; None where there is none, or another thing of that name."""
    try:
        report = schema.read(Report, json.loads(text or ""))
    except (ValueError, RecursionError):
        return None
    return report if report.status == "ok" else None


class _NotLoaded(Exception):
    """The module cannot be made; the text is the reason."""


def _solved(kind: kinds.Kind, path: str, facts: list[str], deadline: float, scratch: str) -> InspectAnswer:
    answer = _answer(kind.name, _TITLES[kind.name], facts)
    needs = packages.needed(path) if kind.name != "program" else []
    missing = [package for package in needs if not packages.imported(package)]
    if missing:
        words = f"It calls operations of `{missing[0]}`, which this interpreter has not: install it there."
        return replace(answer, message=f"{answer.message} {words}")
    try:
        saved = wrapping.read(path, kind.name)
    except wrapping.NoForward as found:
        return replace(answer, message=f"{answer.message} {found}")
    except Exception as error:
        message = f"It says that it is {_TITLES[kind.name][0].lower()}{_TITLES[kind.name][1:-1]}, and does not load: "
        return replace(answer, message=message + _first_line(error))
    if saved.shapes:
        known = ", ".join(f"{name} {shape}" for name, shape in saved.shapes.items())
        facts.append(f"exported for {known}" if kind.name == "program" else f"traced with {known}: no limit")
    facts += [f"`{name}` is fixed at {value}: it was exported so" for name, value in saved.fixed.items()]
    if saved.methods:
        facts.append(f"further methods: {', '.join(f'`{name}`' for name in saved.methods)}")
    if saved.packed[0]:
        facts.append(f"{saved.packed[0]} weights are packed by quantised layers")
    try:
        for replayed in _ways(kind, needs):
            report, sure = _reported(saved, path, replayed, deadline, scratch)
            if sure:
                break
    except _NotLoaded as problem:
        return replace(answer, message=f"{answer.message} It does not load: {problem}", facts=tuple(facts))
    if report.status == "ok" and not sure:
        words = "The module itself does not do what its replay does, so what goes in is not told."
        return replace(answer, message=f"{answer.message} {words}", facts=tuple(facts))
    number, size = saved.packed
    report = replace(report, parameters=report.parameters + number, parameter_bytes=report.parameter_bytes + size)
    source = "solved" if report.status == "ok" else ""
    return replace(answer, source=source, report=report, facts=tuple(facts))


def _ways(kind: kinds.Kind, needs: list[str]) -> tuple[bool, ...]:
    """Whether a module is replayed, in each attempt. With operations of packages it is not run itself without
    memory: torch's interpreter of scripts can end the process there.
    """
    if kind.name == "program":
        return (False,)
    return (True,) if needs else (True, False)


def _reported(saved: wrapping.Saved, path: str, replayed: bool, deadline: float, scratch: str) -> tuple[Report, bool]:
    """The engine's report of the module, and whether the module itself does what is told of it."""
    file = os.path.join(scratch, "saved.py" if replayed else "saved_itself.py")
    with open(file, "w", encoding="utf-8") as written:
        written.write(wrapping.source(saved, path, replayed))
    wrapped = FileAsked(file, scratch)
    loaded = load.load(wrapped, shares.SAVED_MODULE.of(deadline - clock.now()))
    found = load.find(loaded, saved.name, wrapped, shares.SAVED_CLASS)
    if isinstance(found, load.LoadProblem):
        raise _NotLoaded(found.message)
    # First what the archive alone says; what an author once gave it is tried where that finds nothing.
    for shapes in (saved.ranks, {}, saved.shapes):
        reports: list[Report] = []
        context = Context(
            file,
            scratch,
            loaded.source,
            found.loaded.namespace,
            deadline,
            stages=("example", "symbols"),
            written=False,
        )
        asked = ClassAsked(saved.name, pragmas=Pinned(inputs=dict(shapes)))
        infer.report_class(found.found, asked, context, reports.append)
        report = reports[-1]
        if report.status == "ok":
            break
    sure = not replayed
    if replayed and report.status == "ok":
        archive = found.loaded.namespace[wrapping.HOLDER]
        sure = replay.agrees(archive, runs.from_report(found.found, found.loaded.namespace, report))
    return _of_archive(report, path), sure


def _of_archive(report: Report, path: str) -> Report:
    """The report with the archive in the place of the file that wrapped it, and no advice that a file cannot take."""
    reason = report.reason
    if reason is not None:
        told = (
            f"{reason.message} Export it again with `ts-shape-server export`, which writes what goes in into the file."
        )
        reason = replace(reason, message=told, location=None, related=())
    inputs = tuple(replace(item, source="solved") for item in report.inputs)
    # A program's only layers are those that torch puts around its graph.
    layers = tuple(
        replace(item, name=item.name.partition(".")[2])
        for item in report.layers
        if item.type not in ("GuardsFn", "GraphModule") and "." in item.name
    )
    plain = replace(report, path=path, line=1, inputs=inputs, layers=layers, variables=(), stubbed=())
    return replace(plain, reason=reason)


def _pickled(path: str) -> InspectAnswer:
    """What `torch.save` wrote: plain values are looked at, anything else is named and not unpickled."""
    try:
        value = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        data = _pickle_in(path)
        return _answer(
            "module", _told_of_code(_first_class(data), _protocol(data) if zipfile.is_zipfile(path) else 0), []
        )
    except Exception as error:
        return _answer("other", f"It looks like a file of `torch.save`, and does not load: {_first_line(error)}", [])
    if isinstance(value, Mapping) and {"state", "param_groups"} <= set(value):
        return _answer("data", "It is the state of an optimizer, and holds no module and no weights of one.", [])
    found = [(path, item, _tensors(item)) for path, item in checkpoint.nested(value)]
    under, holder, tensors = next((each for each in found if each[2]), ((), {}, {}))
    if not tensors:
        facts = [_told(value)] if isinstance(value, torch.Tensor) else []
        inside = sum(1 for _ in trees.tensors(value)) if not facts else 0
        count = f"{inside} {'tensor' if inside == 1 else 'tensors'}" if inside else "no module and no weights"
        plain = f"It is a saved {type(value).__name__}, and holds {count}{', and no module' if inside else ''}."
        return _answer("data", plain, facts)
    key = ".".join(under)
    message = (
        f"It is a `state_dict`{f' under `{key}`' if key else ''}: weights and no module. What goes in is told by the "
        "class they are for."
    )
    return _answer("state-dict", message, [*_told_weights(tensors), *_beside(value, under, holder)])


def _told_of_code(named: str, protocol: int) -> str:
    """What is said of a pickle that torch does not load without running code: one that asks for a class, or one of
    `torch.save` in a newer protocol.
    """
    if named.startswith("__torch__."):
        return "It is a module of TorchScript without its code: it was not saved to its end, save it again."
    if not named and protocol > _SAFE_PROTOCOL:
        return (
            f"It was saved with pickle protocol {protocol}, which torch loads only where it may run code, so it is not "
            "loaded here: save it again without `pickle_protocol`."
        )
    if not named:
        return "It is a pickle that `torch.save` did not write: it holds no module that can be read here."
    return (
        f"It is a pickle with the class `{named}`: it would run code, so it is not loaded here. Load it where its "
        "class is, and save the module with `torch.jit.save`, or its weights with "
        "`torch.save(module.state_dict(), path)`."
    )


def _told_weights(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    count = sum(tensor.numel() for tensor in tensors.values())
    dtypes = sorted({str(tensor.dtype).replace("torch.", "") for tensor in tensors.values()})
    first = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in list(tensors.items())[:3])
    more = ", …" if len(tensors) > 3 else ""
    number = f"{len(tensors)} {'tensor' if len(tensors) == 1 else 'tensors'}"
    return [f"{number}, {count} numbers of {', '.join(dtypes)}", first + more]


def _beside(value: Any, under: tuple[str, ...], holder: Any) -> list[str]:
    """What a checkpoint has beside its weights, those of the constructor with their values."""
    if holder is value:
        return []
    others = [str(key) for key in value if str(key) != under[0]]
    told = [f"beside them: {', '.join(f'`{key}`' for key in others[:12])}"] if others else []
    given: Mapping[str, Any] = next((value[key] for key in _ARGUMENTS if isinstance(value.get(key), Mapping)), {})
    plain = [f"{key}={item!r}" for key, item in given.items() if isinstance(item, (bool, int, float, str, type(None)))]
    return [*told, *([f"it was made with {', '.join(plain[:12])}"[:300]] if plain else [])]


def _told(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).replace('torch.', '')}"


def _tensors(value: object) -> dict[str, torch.Tensor]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name): item for name, item in value.items() if isinstance(item, torch.Tensor)}


def _pickle_in(path: str) -> bytes:
    """The beginning of the pickle in a file, or of a file that is one; empty where an archive has none."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            return file.read(kinds.MOST_HEADER)
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
        if name is None:
            return b""
        with archive.open(name) as entry:
            return entry.read(kinds.MOST_HEADER)


def _protocol(data: bytes) -> int:
    """The number that a pickle begins with, after the operation that announces it."""
    return data[1] if data[:1] == pickle.PROTO and len(data) > 1 else 0


def _first_class(data: bytes) -> str:
    """The class that a pickle asks for first, tensors apart."""
    asked = (item for item in kinds.pickled_classes(data) if not _OF_TENSORS.fullmatch(item))
    return next((item for item in asked if not _PLAIN.fullmatch(item)), "")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]
