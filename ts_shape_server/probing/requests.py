"""What is asked of probing and what is answered, but for the reports: plain data for the layers above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ts_shape_server import reading
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.asked import STAGES, CallEvidence, ClassAsked, Pinned, Stage
from ts_shape_server.contract.choices import ExportDtype, ExportMethod
from ts_shape_server.contract.report import Failure, Report, TorchScript
from ts_shape_server.probing.agents import Limits
from ts_shape_server.probing.confining import within_folders
from ts_shape_server.probing.moving import Place


@dataclass(frozen=True)
class Options:
    """What the settings say of probing. Times in seconds, sizes in bytes; `cache` None keeps nothing on disk.

    `environment` is the agent's, `probe_environment` is set in a child once it is in the sandbox. `stages` are the
    steps of a report, in order; the cache may not be shared between options that differ in them. With `preempts` a
    class that takes long makes way for a file that waits: what it did is done again when it comes to it once more.
    """

    interpreter: str | None = None
    folders: tuple[str, ...] = ()
    extra_paths: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    probe_environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    cache: Path | None = None
    sandbox: str = "bestEffort"
    readable: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = STAGES
    preempts: bool = True


@dataclass(frozen=True)
class ClassRequest:
    """A class to probe, with what is asked of it. `digest` hashes its code and what it reaches, `parent_digests` those
    of its parents, in their order.
    """

    asked: ClassAsked
    digest: str
    parent_digests: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.asked.name

    @property
    def line(self) -> int:
        return self.asked.line

    def pinned(self, init: Mapping[str, str], inputs: Mapping[str, str]) -> ClassRequest:
        """The same with more than the comments of the file say."""
        known = self.asked.pragmas
        pragmas = Pinned({**known.init, **init}, {**known.inputs, **inputs})
        return replace(self, asked=replace(self.asked, pragmas=pragmas))

    def decisive(self) -> dict[str, Any]:
        """What of this decides the report: the evidence itself, and not at which lines class and evidence stand."""
        parents = tuple(replace(item, evidence=_without_places(item.evidence)) for item in self.asked.parents)
        asked = replace(self.asked, line=0, evidence=_without_places(self.asked.evidence), parents=parents)
        return {**schema.write(asked), "parent_digests": list(self.parent_digests)}

    def places(self) -> tuple[Place, ...]:
        """Where each piece of evidence stands."""
        return tuple((item.path, item.line, item.label) for item in self.asked.evidence)


def _without_places(evidence: Iterable[CallEvidence]) -> tuple[CallEvidence, ...]:
    return tuple(replace(item, line=0, label="", range=None) for item in evidence)


@dataclass(frozen=True)
class FileRequest:
    """Classes of one file, with the texts of all open files (`overlays`, by absolute path) and the workspace folder."""

    path: str
    root: str
    overlays: Mapping[str, str]
    classes: tuple[ClassRequest, ...]
    extra_paths: tuple[str, ...] = ()

    def text(self) -> str:
        """The file as the probe will see it; empty if it cannot be read."""
        known = self.overlays.get(self.path)
        if known is not None:
            return known
        try:
            return reading.text(self.path, wire.MAXIMUM_FRAME)
        except OSError:
            return ""

    def folders(self) -> tuple[str, ...]:
        """Where the files are that a probe may be made from."""
        return self.root, str(Path(self.path).parent), *self.extra_paths

    def covers(self, path: str) -> bool:
        """Whether a path, which may be a probe's word, is one of a file that it may have been made from."""
        return within_folders(self.folders())(path)

    def places_of(self, module: str) -> list[str]:
        """The files that `import module` would find in the workspace, whether they exist or not."""
        first = module.lstrip(".").split(".")[0]
        folders = dict.fromkeys(self.folders())
        tails = (f"{first}.py", f"{first}/__init__.py")
        return [str(Path(folder) / tail) for folder in folders for tail in tails]


@dataclass(frozen=True)
class Trial:
    """Whether an edit did what it says, and TorchScript's state after it.

    `compared` is false where nothing can be seen of a class: it takes too long, or its original does not run.
    """

    ok: bool
    reason: str
    torchscript: TorchScript
    compared: bool = True


@dataclass(frozen=True)
class ExportResult:
    """An export that was verified in a fresh process, or why there is none. `path` is the file written.

    `notes` say in sentences what to know of it: how a checkpoint was read, what tracing has frozen.
    """

    ok: bool
    method: str
    message: str
    path: Path | None = None
    largest_difference: float | None = None
    failure: Failure | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportOrder:
    """What is to be exported, and where to. With `force` an existing file is replaced."""

    output: Path
    method: ExportMethod = "auto"
    force: bool = False
    checkpoint: Path | None = None
    dtype: ExportDtype = ""

    @property
    def chosen(self) -> ExportMethod:
        """The method, where the name of the file chooses: ``.pt2`` is that of programs."""
        return "program" if self.method == "auto" and self.output.suffix == ".pt2" else self.method


@dataclass(frozen=True)
class Inspection:
    """What a saved file holds. `message` says it in words; `facts` are more of it, a line each.

    `kind` is ``script``, ``trace``, ``program``, ``state-dict``, ``safetensors``, ``module``, ``data``, ``other``, or
    ``unread`` where it was not opened. `source` tells whether the report was ``embedded`` or ``solved``.
    """

    path: Path
    kind: str
    message: str
    source: str = ""
    report: Report | None = None
    facts: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether what goes in is told."""
        return self.report is not None and self.report.status == "ok"

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "kind": self.kind,
            "message": self.message,
            "source": self.source,
            "facts": list(self.facts),
            "report": None if self.report is None else schema.write(self.report),
        }
