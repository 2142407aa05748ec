"""What an agent says, and what a child answers to each kind of job; the jobs themselves stand in `asked`.

What a child sends is a claim by untrusted code: `read_claim` is the only way in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional, Union

from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.names import Line
from ts_shape_server.contract.report import Failure, Report, TorchScript
from ts_shape_server.contract.schema import ContractError, entry

Outcome = Literal["finished", "timeout", "memory", "crashed", "cancelled", "sandbox"]


@dataclass(frozen=True)
class TrialAnswer:
    """Whether an edit did what it says; `reason` is empty if it did.

    `torchscript` is the state after it, None where it does not compute the same. `compared` is false where nothing can
    be seen of a class.
    """

    ok: bool
    reason: str = ""
    torchscript: Optional[TorchScript] = None
    compared: bool = field(default=True, metadata=entry(omitted=True))


@dataclass(frozen=True)
class ExportAnswer:
    """The files that an export has left in the job's scratch folder, or why there are none.

    `expected` names the file of calls that a fresh process must get the same results for.
    """

    ok: bool
    method: str = ""
    reason: Optional[Failure] = None
    file: str = ""
    expected: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerifyAnswer:
    """Whether an archive loads in a fresh process and agrees with eager on so many `sizes`.

    `loaded` is false where the archive cannot be read there; `compared` where that process could not do its work, so
    that nothing is said against the archive.
    """

    ok: bool
    reason: str = ""
    largest_difference: Optional[float] = None
    sizes: int = 0
    loaded: bool = field(default=True, metadata=entry(omitted=True))
    compared: bool = field(default=True, metadata=entry(omitted=True))


@dataclass(frozen=True)
class InspectAnswer:
    """What a saved file holds. `message` says it in words; `facts` are more of it, a line each.

    `kind` is ``script``, ``trace``, ``program``, ``state-dict``, ``safetensors``, ``module``, ``data`` or ``other``.
    `source` tells whether the report was ``embedded`` or ``solved``; it is empty without one.
    """

    kind: str
    message: str
    source: str = ""
    facts: tuple[str, ...] = ()
    report: Optional[Report] = None


@dataclass(frozen=True)
class ProbeClaim:
    """One message of a child: an answer, or with `begin` that it turns to a class, of which it now is in a `phase`.

    `depends` are the files of the workspace that a final report was made from.
    """

    name: Line = field(default="", metadata=entry("class", omitted=True))
    phase: str = field(default="", metadata=entry(omitted=True))
    depends: tuple[str, ...] = field(default=(), metadata=entry(omitted=True))
    begin: Optional[bool] = field(default=None, metadata=entry(omitted=True))
    report: Optional[Report] = field(default=None, metadata=entry(omitted=True))
    trial: Optional[TrialAnswer] = field(default=None, metadata=entry(omitted=True))
    export: Optional[ExportAnswer] = field(default=None, metadata=entry(omitted=True))
    verify: Optional[VerifyAnswer] = field(default=None, metadata=entry(omitted=True))
    inspect: Optional[InspectAnswer] = field(default=None, metadata=entry(omitted=True))

    @property
    def answers(self) -> int:
        """How many of them it holds."""
        held = (self.begin, self.report, self.trial, self.export, self.verify, self.inspect)
        return sum(item is not None for item in held)


def read_claim(payload: str) -> ProbeClaim:
    """A claim of a child; control characters in it become U+FFFD. ContractError if it is too long, or no claim."""
    claim = schema.read(ProbeClaim, wire.printable_object(payload))
    if claim.answers != 1:
        raise ContractError("not a claim: it must hold one answer")
    return claim


@dataclass(frozen=True)
class SandboxTier:
    """What the sandbox withholds, by layer, and what that comes to."""

    tier: str
    layers: Mapping[str, str]


@dataclass(frozen=True)
class Hello:
    """An agent is ready. `symbolic`: its torch's symbolic shapes can be used."""

    protocol: int
    python: str
    torch: str
    executable: str
    pid: int
    symbolic: bool
    sandbox: SandboxTier = SandboxTier("", {})
    """Empty as long as nobody has tried."""


@dataclass(frozen=True)
class NotReady:
    """An interpreter cannot be used; `message` is a sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class Relayed:
    """A claim of a child, as the agent passes it on: unread."""

    id: int
    payload: Annotated[str, schema.text(wire.MAXIMUM_FRAME)]


@dataclass(frozen=True)
class Working:
    """A job's child works on: it has not come to its deadline, which counts work."""

    id: int


@dataclass(frozen=True)
class Ended:
    """A job has ended; `detail` says in words how the process died."""

    id: int
    outcome: Outcome
    detail: str
    elapsed_ms: int


Message = Union[Hello, NotReady, Relayed, Working, Ended]
_MESSAGES: Mapping[str, Any] = {
    "hello": Hello,
    "refused": NotReady,
    "claim": Relayed,
    "working": Working,
    "done": Ended,
}


def read_message(message: Mapping[str, Any]) -> Message:
    """What an agent says. ContractError if it is none of what it may say."""
    made: Message = schema.read_tagged(_MESSAGES, message)
    return made


def write_message(message: Message) -> dict[str, Any]:
    """The JSON of what an agent says."""
    return schema.write_tagged(_MESSAGES, message)
