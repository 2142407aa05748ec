"""What the server asks: of an agent a job of a kind (`report`, `trial`, `export`, `verify`, `inspect`), and in a report
of each class where it stands, what comments pin, the calls of the workspace, its parents.

Expressions and slices are Python text; an agent runs them in the sandbox alone. What comes back stands in `jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional, Union

from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.choices import ExportDtype, ExportMethod
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Report
from ts_shape_server.contract.schema import ContractError, entry

SourceText = Annotated[str, schema.text(wire.MAXIMUM_FRAME)]
"""The text of a file."""
Stage = Literal["example", "symbols", "script", "trail"]
"""A step of a report; ``trail`` adds what each move of the search was asked and gained."""
STAGES: tuple[Stage, ...] = ("example", "symbols", "script")
"""Those of a report that people read, in their order."""

Certainty = Literal["", "signature", "values"]
"""Whether a call is an error if the class refuses it: never, if its signature does, or if its values do not run too."""


@dataclass(frozen=True)
class CallArguments:
    """Expressions by position and by name. One that starts with ``*`` is spread, as is a value named ``**``."""

    args: tuple[str, ...] = ()
    kwargs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CallEvidence:
    """One call: `setup` is source that binds what the expressions need, `label` says where it stands."""

    kind: str = ""
    path: str = ""
    line: int = 0
    setup: str = ""
    init: Optional[CallArguments] = None
    inputs: Optional[CallArguments] = None
    label: str = ""
    range: Optional[Range] = None
    certain: Certainty = ""
    cast: str = ""
    """The dtype that the object was converted to before the call: what the class itself takes is float32 there."""


@dataclass(frozen=True)
class Pinned:
    """What comments over a class say: constructor expressions, and shapes or literals of inputs, by parameter."""

    init: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ParentAsked:
    """A class that makes an instance of the one that is asked about, or of another of its parents."""

    path: str
    name: str
    pragmas: Pinned = field(default_factory=Pinned)
    evidence: tuple[CallEvidence, ...] = field(default=(), metadata=entry(omitted=True))


@dataclass(frozen=True)
class ClassAsked:
    """A class to report on; `parents` are classes whose runs may show what this one gets, the outermost first."""

    name: str
    line: int = 1
    pragmas: Pinned = field(default_factory=Pinned)
    evidence: tuple[CallEvidence, ...] = field(default=(), metadata=entry(omitted=True))
    parents: tuple[ParentAsked, ...] = field(default=(), metadata=entry(omitted=True))


@dataclass(frozen=True)
class FileAsked:
    """The file of a job, the folder that it belongs to, the texts of open files by absolute path, more folders that its
    imports are looked up in, and variables that the code finds in `os.environ`.
    """

    path: str
    root: str
    overlays: Mapping[str, SourceText] = field(default_factory=dict)
    extra_paths: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportJob:
    """Reports on classes of a file. `sliced`: the file ended an earlier probe while it was imported."""

    file: FileAsked
    classes: tuple[ClassAsked, ...]
    sliced: bool = False
    stages: tuple[Stage, ...] = STAGES


@dataclass(frozen=True)
class TrialJob:
    """Whether the text in the overlays does what the `original` texts do, for a class with this report."""

    file: FileAsked
    name: str = field(metadata=entry("class"))
    report: Report
    original: Mapping[str, SourceText] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportJob:
    """An export of a class, to a file `output` in the job's scratch folder.

    `checkpoint` is the path of the weights to take; empty: those that the class makes.
    """

    file: FileAsked
    name: str = field(metadata=entry("class"))
    report: Report
    output: str
    method: ExportMethod = "auto"
    checkpoint: str = ""
    dtype: ExportDtype = ""


@dataclass(frozen=True)
class VerifyJob:
    """Whether an archive loads in a process that knows no source, and gives the results in the file `expected`."""

    archive: str
    expected: str


@dataclass(frozen=True)
class InspectJob:
    """What a saved file holds."""

    archive: str


Job = Union[ReportJob, TrialJob, ExportJob, VerifyJob, InspectJob]
_JOBS: Mapping[str, Any] = {
    "report": ReportJob,
    "trial": TrialJob,
    "export": ExportJob,
    "verify": VerifyJob,
    "inspect": InspectJob,
}


def _read_job(value: Any, depth: int) -> Job:
    """A job. What it holds may be nested as deeply as in a message of its own."""
    if type(value) is not dict:
        raise ContractError("is no object")
    made: Job = schema.read_tagged(_JOBS, value)
    return made


def _write_job(job: Job) -> dict[str, Any]:
    return schema.write_tagged(_JOBS, job)


@dataclass(frozen=True)
class JobLimits:
    """What a job may use. The wall time counts for each class of a job, the processor time for all."""

    wall_ms: int
    cpu_s: int
    memory_bytes: int
    file_bytes: int


@dataclass(frozen=True)
class RunAsked:
    """Run a job; its messages carry this number."""

    id: int
    job: Annotated[Job, schema.Codec(_read_job, _write_job)]
    limits: JobLimits


@dataclass(frozen=True)
class CancelAsked:
    """End the job of that number."""

    id: int


@dataclass(frozen=True)
class ShutdownAsked:
    """End the agent."""


Request = Union[RunAsked, CancelAsked, ShutdownAsked]
_REQUESTS: Mapping[str, Any] = {"run": RunAsked, "cancel": CancelAsked, "shutdown": ShutdownAsked}


def read_request(message: Mapping[str, Any]) -> Request:
    """What a server asks of an agent. ContractError if it is nothing that it may ask."""
    made: Request = schema.read_tagged(_REQUESTS, message)
    return made


def write_request(request: Request) -> dict[str, Any]:
    """The JSON of a request."""
    return schema.write_tagged(_REQUESTS, request)


@dataclass(frozen=True)
class Handed:
    """What the agent hands to a process that waits: the sandbox to enter, and what to run in it (None: nothing)."""

    tier: str
    scratch: str
    agent: int
    run: Optional[RunAsked] = None
