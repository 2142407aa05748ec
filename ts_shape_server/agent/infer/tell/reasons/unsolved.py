"""What the reasons are asked about, and what they answer: the class that was built and found no input, with its best
attempt, and the report's reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.running.session import Session, innermost_line
from ts_shape_server.agent.infer.tell import inside
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Argument, Fact, Failure, ReportedComplaint, Status, failure

Place = tuple[int, int, int, int]
"""Line, column, end line, end column."""


@dataclass(frozen=True)
class Unsolved:
    """Why no input or no constructor was found."""

    status: Status
    reason: Failure
    init: tuple[tuple[str, Argument], ...] = ()


@dataclass(frozen=True)
class PassedByCall:
    """What a call certainly passes to an object that is made like the one that was searched, and where it stands."""

    inputs: values.Inputs
    path: str
    place: Place | None

    @property
    def shapes(self) -> str:
        """The sizes of its tensors, as a person writes them."""
        return ", ".join(map(shape, values.all_tensors(self.inputs)))

    @property
    def location(self) -> Location | None:
        """The call, as a related place."""
        return None if self.place is None else Location(self.path, Range(*self.place), f"{self.shapes} is passed here.")


@dataclass(frozen=True)
class Unfound:
    """A class that could be built, and the search that found no input for it. `passed` is what the workspace
    certainly gives it, `certain` is whether none of its constructor's arguments is a guess, `plan` has them all, and
    `guessed` the names of those that are.
    """

    session: Session
    result: search.NotFound
    context: Context
    passed: Sequence[PassedByCall]
    certain: bool
    plan: Mapping[str, str]
    guessed: frozenset[str]

    @property
    def error(self) -> BaseException:
        """What the best attempt failed with."""
        return self.result.outcome.error or RuntimeError("no attempt was made")

    @property
    def line(self) -> int | None:
        """The line of the file that is asked about in which it failed."""
        return innermost_line(self.error, self.context.path)

    @property
    def in_line(self) -> str:
        return f" in line {self.line}" if self.line else ""

    def place(self, layer: str = "") -> Place | None:
        """The call of `layer` in that line; without one the call that failed."""
        return mismatch.call_place(self.context.source, self.line, layer) if self.line else None


def unsolved(
    context: Context,
    error: BaseException,
    code: str,
    kind: str,
    message: str,
    *,
    status: Status = "unresolved",
    place: Place | None = None,
    facts: Mapping[str, Fact] | None = None,
    related: tuple[Location, ...] = (),
) -> Unsolved:
    """The answer of a reason, with the error's own text as detail and what is known of it as complaints."""
    complaints = tuple(
        ReportedComplaint(item.kind, tuple(sorted(item.facts.items()))) for item in torch_says.read(error)
    )
    detail = torch_says.one_line(error)
    told = failure(code, message, context.path, place, detail, related, kind=kind, facts=facts)
    return Unsolved(status, replace(told, complaints=complaints))


def layer_places(unfound: Unfound, *names: str) -> tuple[Location, ...]:
    """Where layers are made."""
    lines = inside.layer_lines(unfound.session.cls)
    texts = unfound.context.source.splitlines()
    places = []
    for name in names:
        line = lines.get(name)
        if line is not None and line <= len(texts):
            text = texts[line - 1]
            span = Range(line, len(text) - len(text.lstrip()), line, len(text.rstrip()))
            places.append(Location(unfound.context.path, span, f"`{name}` is made here."))
    return tuple(places)


def shape(guess: values.TensorGuess) -> str:
    """Sizes as a person writes them: ``(2, 3)``, ``(2,)``."""
    return f"({', '.join(map(str, guess.dims))}{',' if len(guess.dims) == 1 else ''})"
