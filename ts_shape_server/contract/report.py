"""Everything known of one class, as one object: a line of ``show --json``, and what a probe claims.

The fields, their types and their `entry` are the JSON contract; `schema` reads and writes it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional, Union

from ts_shape_server.contract.dims import Constraint, Dim
from ts_shape_server.contract.names import Line, Name, ParameterName, QualifiedName
from ts_shape_server.contract.places import Location, Range, Row, row
from ts_shape_server.contract.schema import MAXIMUM_ITEMS, Codec, ContractError, entry
from ts_shape_server.contract.types import TypeText, is_type

SCHEMA = 1
"""Of the JSON that is promised to others: a change that breaks a reader counts it up."""
VERSION = 4
"""Of everything declared here, as the cache and the agent spell it: any change counts it up."""

Status = Literal["ok", "failed", "unresolved", "skipped", "timeout", "crashed"]


@dataclass(frozen=True)
class ValueSpec:
    """The type of a value and, where it holds tensors, their dtype and dims.

    `type` is the spelling TorchScript takes (``Tensor``, ``List[Tensor]``, ``Optional[int]``). `items` holds one spec
    that every element of a list fits, one per position of a tuple, or one per key of a dict (`keys`). `minimum` and
    `maximum` bound the *values* of an integer tensor (an index) where they are known, inclusively; what they say holds
    at all sizes. `most` is the largest value as a dim where it grows with one (``N - 1`` for numbers of nodes).
    `varies` are the dims of a list's items that may differ from item to item.
    """

    type: TypeText
    dtype: Optional[Name] = field(default=None, metadata=entry(omitted=True))
    dims: Optional[tuple[Dim, ...]] = field(default=None, metadata=entry(omitted=True))
    items: tuple[ValueSpec, ...] = field(default=(), metadata=entry(omitted=True))
    keys: tuple[str, ...] = field(default=(), metadata=entry(omitted=True))
    minimum: Optional[int] = field(default=None, metadata=entry("values.min", omitted=True))
    maximum: Optional[int] = field(default=None, metadata=entry("values.max", omitted=True))
    varies: tuple[Name, ...] = field(default=(), metadata=entry(omitted=True))
    most: Optional[Dim] = field(default=None, metadata=entry("values.most", omitted=True, alone=True))


@dataclass(frozen=True)
class InputSpec:
    """What one parameter of `forward` takes. `source` says which evidence decided (the contract's ``from``)."""

    name: ParameterName
    value: ValueSpec = field(metadata=entry(inlined=True))
    source: str = field(default="", metadata=entry("from"))
    optional: bool = field(default=False, metadata=entry(omitted=True))


@dataclass(frozen=True)
class Symbol:
    """What a free dim may be: at least `minimum`, at most `maximum` (None: unbounded), a multiple of `multiple_of`.

    `least` is smaller than `minimum` where that is only the least beside the largest values that inputs are told to
    hold at all sizes: where values go up to the size itself, `least` is what it may be beside smaller ones.
    """

    minimum: int = field(default=1, metadata=entry("min"))
    maximum: Optional[int] = field(default=None, metadata=entry("max"))
    multiple_of: int = 1
    least: Optional[int] = field(default=None, metadata=entry(omitted=True))


@dataclass(frozen=True)
class Visit:
    """Calls of a submodule by one line of its class: the dims of their tensor inputs and outputs."""

    line: int
    inputs: tuple[tuple[Dim, ...], ...] = ()
    outputs: tuple[tuple[Dim, ...], ...] = ()


@dataclass(frozen=True)
class Layer:
    """One submodule as the run saw it: the dims of the tensor inputs and outputs of its first call, and its own
    parameter count, with those of what is in it.

    `line` is where the class assigns it (None when that is not in the class's own file). `visits` are the calls that
    the code of the class makes itself, those that differ.
    """

    name: Line
    type: Line
    line: Optional[int] = None
    inputs: tuple[tuple[Dim, ...], ...] = ()
    outputs: tuple[tuple[Dim, ...], ...] = ()
    parameters: int = 0
    visits: tuple[Visit, ...] = field(default=(), metadata=entry(omitted=True))


@dataclass(frozen=True)
class Variable:
    """A local of `forward` right after `line` ran, or as it came into it. Visits that differ (loops, branches) are
    several entries.
    """

    name: Name
    line: int
    value: ValueSpec = field(metadata=entry(inlined=True))


@dataclass(frozen=True)
class Annotation:
    """A type seen in a run that TorchScript needs in the source: of a parameter, a return value or an attribute.

    `owner` is the class as qualified in the file (or a function), `function` the method, `name` the parameter
    (``return`` for the result; for an attribute `function` is empty). `needed`: TorchScript takes it for something else
    as it stands.
    """

    owner: QualifiedName
    function: QualifiedName
    name: Name
    type: TypeText
    needed: bool = False


@dataclass(frozen=True)
class Disagreement:
    """Two fixed sizes that should be one: a layer takes `wanted` features or channels, and `got` arrive.

    `layer` and `producer` are named as in `named_modules`, and empty where they are not known.
    """

    wanted: int
    got: int
    layer: Line = ""
    producer: Line = ""


Fact = Union[str, int, tuple[Union[str, int], ...]]
"""One thing that a failure is about: a name, a type, a number, or several of them."""


def _read_facts(value: Any, depth: int) -> tuple[tuple[str, Fact], ...]:
    if type(value) is not dict or len(value) > MAXIMUM_ITEMS:
        raise ContractError("is no object")
    made: list[tuple[str, Fact]] = []
    for name, fact in sorted(value.items()):
        for item in fact if type(fact) is list else (fact,):
            if type(item) is not str and type(item) is not int:
                raise ContractError("is no fact").inside(name)
        made.append((name, tuple(fact) if type(fact) is list else fact))
    return tuple(made)


def _write_facts(facts: tuple[tuple[str, Fact], ...]) -> dict[str, Any]:
    return {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in facts}


Facts = Annotated[tuple[tuple[str, Fact], ...], Codec(_read_facts, _write_facts)]
"""By name, in the order of the names."""


@dataclass(frozen=True)
class ReportedComplaint:
    """What torch's own text says, as data: the id of a message that is known, and the names and types in it."""

    kind: str
    facts: Facts = ()

    def fact(self, name: str) -> str:
        """A fact as text, empty if there is none of that name."""
        return next((str(value) for key, value in self.facts if key == name), "")

    def list(self, name: str) -> tuple[str, ...]:
        """A fact of several texts; nothing if there is none of that name."""
        found = next((value for key, value in self.facts if key == name), ())
        return tuple(map(str, found)) if isinstance(found, tuple) else (str(found),)


Identity = tuple[str, str, tuple[tuple[str, Fact], ...]]
"""Code, kind and facts: what makes two failures or findings the same one."""


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
    location: Optional[Location] = None
    detail: str = ""
    related: tuple[Location, ...] = ()
    sizes: Optional[Disagreement] = field(default=None, metadata=entry(omitted=True))
    kind: str = ""
    facts: Facts = ()
    complaints: tuple[ReportedComplaint, ...] = ()

    @property
    def identity(self) -> Identity:
        """Equal for two failures that are the same one, wherever the lines are by now."""
        return self.code, self.kind, self.facts

    @property
    def computes_otherwise(self) -> bool:
        """Whether a run showed the trap: the fact `where` says on which input eager and the script differed."""
        return self.code == "script-trap" and bool(self.fact("where"))

    def fact(self, name: str) -> str:
        """A fact as text, empty if there is none of that name."""
        return next((str(value) for key, value in self.facts if key == name), "")


ArchiveState = Literal["", "agrees", "no-process", "not-compared", "large", "left-to-python", "objects", "no-forward"]
"""What became of a script in another process: nothing is known, it was loaded and computed the same (``agrees``), there
was no such process, it could not do its work; or the script was not given to it: too large, a part left to Python, or
inputs, results or a `forward` with which it could not be called there.
"""


@dataclass(frozen=True)
class ScriptAttempt:
    """What scripting or tracing said. `ok` is None when it was not tried; then `failures` is empty.

    `archive` is what became of the script in another process, where nothing is said against it; a trace has none.
    """

    ok: Optional[bool] = None
    failures: tuple[Failure, ...] = ()
    archive: ArchiveState = field(default="", metadata=entry(omitted=True))

    @property
    def proven(self) -> bool:
        """Whether another process has loaded the script and computed the same."""
        return self.ok is True and not self.failures and self.archive == "agrees"


def _read_seen(value: Any, depth: int) -> tuple[Range, str]:
    if type(value) is not list or len(value) != 5:
        raise ContractError("is no extent with a type")
    line, column, end_line, end_column, kind = value
    for number in (line, column, end_line, end_column):
        if type(number) is not int:
            raise ContractError("is no extent")
    if type(kind) is not str or not is_type(kind):
        raise ContractError("is no type")
    return Range(line, column, end_line, end_column), kind


Seen = Annotated[tuple[Range, str], Codec(_read_seen, lambda item: [*row(item[0]), item[1]])]


@dataclass(frozen=True)
class FunctionFacts:
    """What a run saw inside a function that TorchScript refuses. `line` is that of its name.

    `values` are types of expressions (``!package.Class`` for a value that TorchScript cannot hold, ``?`` where nothing
    was in a container), `idle` the blocks that never ran; nothing of both is known where the function never `ran`.
    """

    line: int
    ran: bool
    values: tuple[Seen, ...] = ()
    idle: tuple[Row, ...] = ()


@dataclass(frozen=True)
class TorchScript:
    """The state of a class towards TorchScript: scripting's failures, tracing's warnings, the types it lacks, and what
    a rewrite of the refused functions needs to know of a run.
    """

    script: ScriptAttempt = field(default_factory=ScriptAttempt, metadata=entry(nullable=True))
    trace: ScriptAttempt = field(
        default_factory=ScriptAttempt, metadata=entry(nullable=True, renamed={"failures": "warnings"})
    )
    annotations: tuple[Annotation, ...] = ()
    facts: tuple[FunctionFacts, ...] = ()


@dataclass(frozen=True)
class Argument:
    """A constructor argument: a Python expression in the module's own namespace, and where it came from."""

    expression: str = field(metadata=entry("expr"))
    source: str = field(default="", metadata=entry("from"))


def _read_value(value: Any, depth: int) -> Any:
    """A value in the contract's nested form: checked, and kept as it is."""
    _check_value(value, 0)
    return value


def _check_value(value: Any, depth: int) -> None:
    if type(value) is not dict or depth > _DEPTH:
        raise ContractError("is no value")
    if "tensor" in value:
        sizes = value["tensor"]
        if type(sizes) is not list or len(sizes) > MAXIMUM_ITEMS or any(type(size) is not int for size in sizes):
            raise ContractError("is no tensor of numbers")
        if type(value.get("dtype", "")) is not str:
            raise ContractError("has a dtype that is no text")
        if any(type(value.get(bound, 0)) is not int for bound in ("low", "high")):
            raise ContractError("has a bound that is no number")
    elif "expr" in value:
        _check_text(value["expr"])
    elif "list" in value or "tuple" in value:
        _check_list(value.get("list", value.get("tuple")), depth)
    elif "dict" in value:
        _check_object(value["dict"], depth)
    elif "make" in value:
        _check_text(value["make"])
        _check_object(value.get("fields") or {}, depth)
    else:
        raise ContractError("is no value")


def _check_list(items: Any, depth: int) -> None:
    if type(items) is not list or len(items) > MAXIMUM_ITEMS:
        raise ContractError("is no list")
    for item in items:
        _check_value(item, depth + 1)


def _check_object(items: Any, depth: int) -> None:
    if type(items) is not dict or len(items) > MAXIMUM_ITEMS:
        raise ContractError("is no object")
    for item in items.values():
        _check_value(item, depth + 1)


def _check_text(value: Any) -> None:
    if type(value) is not str:
        raise ContractError("has an expression that is no text")


@dataclass(frozen=True)
class MoveEffort:
    """Of one move of the search: states that it proposed, that were run, that came further than what they were made
    from, that are on the way to a find, and the processor time of their runs.
    """

    proposed: int = 0
    ran: int = 0
    further: int = 0
    led: int = 0
    ms: int = 0


@dataclass(frozen=True)
class SearchEffort:
    """What the searches for a class took: the effort of each move by its name, and how often they ended for which
    reason.
    """

    moves: tuple[tuple[str, MoveEffort], ...] = ()
    exits: tuple[tuple[str, int], ...] = ()


_DEPTH = 16
Value = Annotated[Any, Codec(_read_value)]
"""``{"tensor": [2, 3]}``, ``{"list": …}``, ``{"tuple": …}``, ``{"dict": …}``, ``{"expr": …}``, and ``{"make": …,
"fields": …}`` for an object that is made of fields."""
Values = Mapping[ParameterName, Value]
"""Values by the name of their parameter."""


@dataclass(frozen=True)
class Report:
    """Everything known of one class at one version of its source: one line of ``show --json``.

    `example` and `second` map parameter names to values in the contract's nested form (`Value`). `second` is another
    size that the claim allows and that ran, None when the input is fixed; `others` are inputs of other types that the
    workspace passes and that run. `variables` are the locals as lines leave them, `uses` as they come into the lines
    that read them. `evidence` lists what decided, strongest first; `notes` say in sentences what could
    not be examined. `elapsed_ms` is wall time, `core_ms` processor time.
    """

    schema: int = field(default=SCHEMA, init=False)
    path: str
    name: Line = field(metadata=entry("class"))
    line: int
    status: Status
    reason: Optional[Failure] = None
    init: tuple[tuple[ParameterName, Argument], ...] = field(default=(), metadata=entry("init.args", nullable=True))
    inputs: tuple[InputSpec, ...] = ()
    example: Values = field(default_factory=dict, metadata=entry(nullable=True))
    second: Optional[Values] = None
    others: tuple[Values, ...] = ()
    symbols: tuple[tuple[Name, Symbol], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    outputs: tuple[ValueSpec, ...] = ()
    parameters: int = 0
    parameter_bytes: int = 0
    layers: tuple[Layer, ...] = ()
    variables: tuple[Variable, ...] = ()
    uses: tuple[Variable, ...] = field(default=(), metadata=entry(omitted=True))
    torchscript: TorchScript = field(default_factory=TorchScript, metadata=entry(nullable=True))
    mismatches: tuple[Failure, ...] = ()
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stubbed: tuple[str, ...] = ()
    elapsed_ms: int = 0
    core_ms: int = 0
    stage: str = "final"
    effort: SearchEffort = field(default_factory=SearchEffort, metadata=entry(omitted=True))
    """Told where the stage ``trail`` is asked for, by benchmarks."""


def without_report(path: str, name: str, line: int, status: Status, reason: Failure) -> Report:
    """The report of a class that has none: nothing is known but why."""
    return Report(path=path, name=name, line=line, status=status, reason=reason)


def failure(
    code: str,
    message: str,
    path: str,
    place: Optional[tuple[int, int, int, int]],
    detail: str = "",
    related: tuple[Location, ...] = (),
    *,
    kind: str,
    facts: Optional[Mapping[str, Fact]] = None,
) -> Failure:
    """Why there is no report, or what is wrong with one. `place` is line, column, end line, end column."""
    location = None if place is None else Location(path, Range(*place))
    told = tuple(sorted((facts or {}).items()))
    return Failure(code, message, location, detail[:4000], related, kind=kind, facts=told)
