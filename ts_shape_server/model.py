"""What every layer of the server speaks: frozen dataclasses for places in source, input specs, failures and reports.

A `Report` is the JSON contract of `show --json` as an object; `Report.from_json` and `Report.to_json` are its only
spelling. This module knows nothing of LSP, torch, processes or files, and imports the standard library alone.

Positions count as `ast` does but for one thing: lines start at 1, columns start at 0 and count code points, not bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union, cast

SCHEMA = 1

Dim = Union[int, str]
"""A number, or a symbol or expression in symbols with ``+ - * // %``."""

Status = Literal["ok", "failed", "unresolved", "skipped", "timeout", "crashed"]
Json = Any
Fact = Union[str, int, "tuple[str | int, ...]"]
"""One thing that a failure is about: a name, a type, a number, or several of them."""


@dataclass(frozen=True)
class Range:
    """A half-open stretch of a file: lines from 1, columns from 0 in code points."""

    line: int
    column: int
    end_line: int
    end_column: int

    def contains(self, line: int, column: int) -> bool:
        return (self.line, self.column) <= (line, column) <= (self.end_line, self.end_column)

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Range:
        return cls(data["line"], data["column"], data["end_line"], data["end_column"])

    def to_json(self) -> dict[str, Json]:
        return {"line": self.line, "column": self.column, "end_line": self.end_line, "end_column": self.end_column}


@dataclass(frozen=True)
class Location:
    """A range in a file, with what it has to do with the finding that names it. `path` is absolute."""

    path: str
    range: Range
    message: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Location:
        return cls(data["path"], Range.from_json(data["range"]), data.get("message", ""))

    def to_json(self) -> dict[str, Json]:
        return {"path": self.path, "range": self.range.to_json(), "message": self.message}


@dataclass(frozen=True)
class TextEdit:
    """Replace `range` by `text`; an insertion has an empty range."""

    range: Range
    text: str


@dataclass(frozen=True)
class ValueSpec:
    """The type of a value and, where it holds tensors, their dtype and dims.

    `type` is the spelling TorchScript takes (``Tensor``, ``List[Tensor]``, ``Optional[int]``). `items` holds one spec
    that every element of a list fits, one per position of a tuple, or one per key of a dict (`keys`). `minimum` and
    `maximum` bound the *values* of an integer tensor (an index) where they are known, inclusively. `varies` are the
    dims of a list's items that may differ from item to item.
    """

    type: str
    dtype: str | None = None
    dims: tuple[Dim, ...] | None = None
    items: tuple[ValueSpec, ...] = ()
    keys: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    varies: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> ValueSpec:
        dims = data.get("dims")
        values = data.get("values") or {}
        return cls(
            type=data["type"],
            dtype=data.get("dtype"),
            dims=None if dims is None else tuple(dims),
            items=tuple(cls.from_json(item) for item in data.get("items", ())),
            keys=tuple(data.get("keys", ())),
            minimum=values.get("min"),
            maximum=values.get("max"),
            varies=tuple(data.get("varies", ())),
        )

    def to_json(self) -> dict[str, Json]:
        data: dict[str, Json] = {"type": self.type}
        if self.dtype is not None:
            data["dtype"] = self.dtype
        if self.dims is not None:
            data["dims"] = list(self.dims)
        if self.items:
            data["items"] = [item.to_json() for item in self.items]
        if self.keys:
            data["keys"] = list(self.keys)
        if self.minimum is not None or self.maximum is not None:
            data["values"] = {"min": self.minimum, "max": self.maximum}
        if self.varies:
            data["varies"] = list(self.varies)
        return data


@dataclass(frozen=True)
class InputSpec:
    """What one parameter of `forward` takes. `source` says which evidence decided (the contract's ``from``)."""

    name: str
    value: ValueSpec
    source: str
    optional: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> InputSpec:
        return cls(data["name"], ValueSpec.from_json(data), data.get("from", ""), bool(data.get("optional", False)))

    def to_json(self) -> dict[str, Json]:
        data = {"name": self.name, **self.value.to_json(), "from": self.source}
        return {**data, "optional": True} if self.optional else data


@dataclass(frozen=True)
class Symbol:
    """What a free dim may be: at least `minimum`, at most `maximum` (None: unbounded), a multiple of `multiple_of`."""

    minimum: int = 1
    maximum: int | None = None
    multiple_of: int = 1

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Symbol:
        return cls(data.get("min", 1), data.get("max"), data.get("multiple_of", 1))

    def to_json(self) -> dict[str, Json]:
        return {"min": self.minimum, "max": self.maximum, "multiple_of": self.multiple_of}


@dataclass(frozen=True)
class Layer:
    """One submodule as the run saw it: the dims of its tensor inputs and outputs, and its own parameter count.

    `line` is where the class assigns it (None when that is not in the class's own file).
    """

    name: str
    type: str
    line: int | None
    inputs: tuple[tuple[Dim, ...], ...]
    outputs: tuple[tuple[Dim, ...], ...]
    parameters: int

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Layer:
        return cls(
            data["name"],
            data["type"],
            data.get("line"),
            tuple(tuple(dims) for dims in data.get("inputs", ())),
            tuple(tuple(dims) for dims in data.get("outputs", ())),
            data.get("parameters", 0),
        )

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "type": self.type,
            "line": self.line,
            "inputs": [list(dims) for dims in self.inputs],
            "outputs": [list(dims) for dims in self.outputs],
            "parameters": self.parameters,
        }


@dataclass(frozen=True)
class Variable:
    """A local of `forward` right after `line` ran. Visits that differ (loops, branches) are several entries."""

    name: str
    line: int
    value: ValueSpec

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Variable:
        return cls(data["name"], data["line"], ValueSpec.from_json(data))

    def to_json(self) -> dict[str, Json]:
        return {"name": self.name, "line": self.line, **self.value.to_json()}


@dataclass(frozen=True)
class Annotation:
    """A type seen in a run that TorchScript needs in the source: of a parameter, a return value or an attribute.

    `owner` is the class as qualified in the file (or a function), `function` the method, `name` the parameter
    (``return`` for the result; for an attribute `function` is empty). `needed`: TorchScript takes it for something else
    as it stands.
    """

    owner: str
    function: str
    name: str
    type: str
    needed: bool

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Annotation:
        return cls(data["owner"], data["function"], data["name"], data["type"], bool(data.get("needed", False)))

    def to_json(self) -> dict[str, Json]:
        return {
            "owner": self.owner,
            "function": self.function,
            "name": self.name,
            "type": self.type,
            "needed": self.needed,
        }


@dataclass(frozen=True)
class Disagreement:
    """Two fixed sizes that should be one: a layer takes `wanted` features or channels, and `got` arrive.

    `layer` and `producer` are named as in `named_modules`, and empty where they are not known.
    """

    wanted: int
    got: int
    layer: str = ""
    producer: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Disagreement:
        return cls(data["wanted"], data["got"], data.get("layer", ""), data.get("producer", ""))

    def to_json(self) -> dict[str, Json]:
        return {"wanted": self.wanted, "got": self.got, "layer": self.layer, "producer": self.producer}


@dataclass(frozen=True)
class Complaint:
    """What torch's own text says, as data: the id of a message that is known, and the names and types in it."""

    kind: str
    facts: tuple[tuple[str, Fact], ...] = ()

    def fact(self, name: str) -> str:
        """A fact as text, empty if there is none of that name."""
        return next((str(value) for key, value in self.facts if key == name), "")

    def list(self, name: str) -> tuple[str, ...]:
        """A fact of several texts; nothing if there is none of that name."""
        found = next((value for key, value in self.facts if key == name), ())
        return tuple(map(str, found)) if isinstance(found, tuple) else (str(found),)

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Complaint:
        return cls(data["kind"], _facts(data))

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "facts": _facts_to_json(self.facts)}


def _facts(data: Mapping[str, Json]) -> tuple[tuple[str, Fact], ...]:
    found = data.get("facts", {})
    return tuple(
        (name, tuple(value) if isinstance(value, list) else cast(Fact, value)) for name, value in sorted(found.items())
    )


def _facts_to_json(facts: tuple[tuple[str, Fact], ...]) -> dict[str, Json]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in facts}


@dataclass(frozen=True)
class Failure:
    """One place where TorchScript, tracing or eager `forward` refuses the module.

    `message` is in words a person can act on; `detail` is torch's own text. `location` is None only where no place in
    any source can be named. `sizes` are the two that disagree, where that is the reason. `kind` is a stable id in
    kebab case (``module-list-index``), empty where none is given, and `facts` what it is about, by name: these decide,
    the words do not. `complaints` are the messages known in `detail`, the one that decided first.
    """

    code: str
    message: str
    location: Location | None = None
    detail: str = ""
    related: tuple[Location, ...] = ()
    sizes: Disagreement | None = None
    kind: str = ""
    facts: tuple[tuple[str, Fact], ...] = ()
    complaints: tuple[Complaint, ...] = ()

    @property
    def identity(self) -> tuple[str, str, tuple[tuple[str, Fact], ...]]:
        """Equal for two failures that are the same one, wherever the lines are by now."""
        return self.code, self.kind, self.facts

    @property
    def computes_otherwise(self) -> bool:
        """Whether a run showed the trap: the fact `where` says on which input eager and the script differed."""
        return self.code == "script-trap" and bool(self.fact("where"))

    def fact(self, name: str) -> str:
        """A fact as text, empty if there is none of that name."""
        return next((str(value) for key, value in self.facts if key == name), "")

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Failure:
        location, sizes = data.get("location"), data.get("sizes")
        return cls(
            code=data["code"],
            message=data["message"],
            location=None if location is None else Location.from_json(location),
            detail=data.get("detail", ""),
            related=tuple(Location.from_json(item) for item in data.get("related", ())),
            sizes=None if sizes is None else Disagreement.from_json(sizes),
            kind=data.get("kind", ""),
            facts=_facts(data),
            complaints=tuple(Complaint.from_json(item) for item in data.get("complaints", ())),
        )

    def to_json(self) -> dict[str, Json]:
        data = {
            "code": self.code,
            "message": self.message,
            "location": None if self.location is None else self.location.to_json(),
            "detail": self.detail,
            "related": [item.to_json() for item in self.related],
            "kind": self.kind,
            "facts": _facts_to_json(self.facts),
            "complaints": [item.to_json() for item in self.complaints],
        }
        return data if self.sizes is None else {**data, "sizes": self.sizes.to_json()}


@dataclass(frozen=True)
class Attempt:
    """What scripting or tracing said. `ok` is None when it was not tried; then `failures` is empty."""

    ok: bool | None = None
    failures: tuple[Failure, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Json] | None, key: str) -> Attempt:
        if data is None:
            return cls()
        return cls(data.get("ok"), tuple(Failure.from_json(item) for item in data.get(key, ())))

    def to_json(self, key: str) -> dict[str, Json]:
        return {"ok": self.ok, key: [item.to_json() for item in self.failures]}


@dataclass(frozen=True)
class FunctionFacts:
    """What a run saw inside a function that TorchScript refuses. `line` is that of its name.

    `values` are types of expressions (``!package.Class`` for a value that TorchScript cannot hold, ``?`` where nothing
    was in a container), `idle` the blocks that never ran; nothing of both is known where the function never `ran`.
    """

    line: int
    ran: bool
    values: tuple[tuple[Range, str], ...] = ()
    idle: tuple[Range, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> FunctionFacts:
        values = tuple((Range(*item[:4]), item[4]) for item in data["values"])
        return cls(data["line"], data["ran"], values, tuple(Range(*item) for item in data["idle"]))

    def to_json(self) -> dict[str, Json]:
        values = [[*span.to_json().values(), kind] for span, kind in self.values]
        idle = [list(span.to_json().values()) for span in self.idle]
        return {"line": self.line, "ran": self.ran, "values": values, "idle": idle}


@dataclass(frozen=True)
class TorchScript:
    """The state of a class towards TorchScript: scripting's failures, tracing's warnings, the types it lacks, and what
    a rewrite of the refused functions needs to know of a run.
    """

    script: Attempt = field(default_factory=Attempt)
    trace: Attempt = field(default_factory=Attempt)
    annotations: tuple[Annotation, ...] = ()
    facts: tuple[FunctionFacts, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Json] | None) -> TorchScript:
        if data is None:
            return cls()
        return cls(
            Attempt.from_json(data.get("script"), "failures"),
            Attempt.from_json(data.get("trace"), "warnings"),
            tuple(Annotation.from_json(item) for item in data.get("annotations", ())),
            tuple(FunctionFacts.from_json(item) for item in data.get("facts", ())),
        )

    def to_json(self) -> dict[str, Json]:
        return {
            "script": self.script.to_json("failures"),
            "trace": self.trace.to_json("warnings"),
            "annotations": [item.to_json() for item in self.annotations],
            "facts": [item.to_json() for item in self.facts],
        }


@dataclass(frozen=True)
class Argument:
    """A constructor argument: a Python expression in the module's own namespace, and where it came from."""

    expression: str
    source: str

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Argument:
        return cls(data["expr"], data.get("from", ""))

    def to_json(self) -> dict[str, Json]:
        return {"expr": self.expression, "from": self.source}


@dataclass(frozen=True)
class Report:
    """Everything known of one class at one version of its source: one line of ``show --json``.

    `example` and `second` map parameter names to values in the contract's nested form (``{"tensor": [2, 3]}``,
    ``{"list": …}``, ``{"tuple": …}``, ``{"dict": …}``, ``{"expr": …}``, and ``{"make": expression, "fields": …}`` for
    an object that is made of fields). `second` is another size that the claim allows and that ran, None when the input
    is fixed; `others` are inputs of other types that the workspace passes and that run. `evidence` lists what decided,
    strongest first; `notes` say in sentences what could not be examined. `elapsed_ms` is wall time, `core_ms`
    processor time.
    """

    path: str
    name: str
    line: int
    status: Status
    reason: Failure | None = None
    init: tuple[tuple[str, Argument], ...] = ()
    inputs: tuple[InputSpec, ...] = ()
    example: Mapping[str, Json] = field(default_factory=dict)
    second: Mapping[str, Json] | None = None
    others: tuple[Mapping[str, Json], ...] = ()
    symbols: tuple[tuple[str, Symbol], ...] = ()
    constraints: tuple[str, ...] = ()
    outputs: tuple[ValueSpec, ...] = ()
    parameters: int = 0
    parameter_bytes: int = 0
    layers: tuple[Layer, ...] = ()
    variables: tuple[Variable, ...] = ()
    torchscript: TorchScript = field(default_factory=TorchScript)
    mismatches: tuple[Failure, ...] = ()
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stubbed: tuple[str, ...] = ()
    elapsed_ms: int = 0
    core_ms: int = 0
    stage: str = "final"

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Report:
        """`data` must have passed `wire.validate_report`: a missing required key raises KeyError here."""
        reason = data.get("reason")
        init = (data.get("init") or {}).get("args", {})
        return cls(
            path=data["path"],
            name=data["class"],
            line=data["line"],
            status=cast(Status, data["status"]),
            reason=None if reason is None else Failure.from_json(reason),
            init=tuple((name, Argument.from_json(value)) for name, value in init.items()),
            inputs=tuple(InputSpec.from_json(item) for item in data.get("inputs", ())),
            example=data.get("example") or {},
            second=data.get("second"),
            others=tuple(data.get("others", ())),
            symbols=tuple((name, Symbol.from_json(item)) for name, item in data.get("symbols", {}).items()),
            constraints=tuple(data.get("constraints", ())),
            outputs=tuple(ValueSpec.from_json(item) for item in data.get("outputs", ())),
            parameters=data.get("parameters", 0),
            parameter_bytes=data.get("parameter_bytes", 0),
            layers=tuple(Layer.from_json(item) for item in data.get("layers", ())),
            variables=tuple(Variable.from_json(item) for item in data.get("variables", ())),
            torchscript=TorchScript.from_json(data.get("torchscript")),
            mismatches=tuple(Failure.from_json(item) for item in data.get("mismatches", ())),
            evidence=tuple(data.get("evidence", ())),
            notes=tuple(data.get("notes", ())),
            stubbed=tuple(data.get("stubbed", ())),
            elapsed_ms=data.get("elapsed_ms", 0),
            core_ms=data.get("core_ms", 0),
            stage=data.get("stage", "final"),
        )

    def to_json(self) -> dict[str, Json]:
        return {
            "schema": SCHEMA,
            "path": self.path,
            "class": self.name,
            "line": self.line,
            "status": self.status,
            "reason": None if self.reason is None else self.reason.to_json(),
            "init": {"args": {name: value.to_json() for name, value in self.init}},
            "inputs": [item.to_json() for item in self.inputs],
            "example": dict(self.example),
            "second": None if self.second is None else dict(self.second),
            "others": [dict(item) for item in self.others],
            "symbols": {name: item.to_json() for name, item in self.symbols},
            "constraints": list(self.constraints),
            "outputs": [item.to_json() for item in self.outputs],
            "parameters": self.parameters,
            "parameter_bytes": self.parameter_bytes,
            "layers": [item.to_json() for item in self.layers],
            "variables": [item.to_json() for item in self.variables],
            "torchscript": self.torchscript.to_json(),
            "mismatches": [item.to_json() for item in self.mismatches],
            "evidence": list(self.evidence),
            "notes": list(self.notes),
            "stubbed": list(self.stubbed),
            "elapsed_ms": self.elapsed_ms,
            "core_ms": self.core_ms,
            "stage": self.stage,
        }


def without_report(path: str, name: str, line: int, status: Status, reason: Failure) -> Report:
    """The report of a class that has none: nothing is known but why."""
    return Report(path=path, name=name, line=line, status=status, reason=reason)
