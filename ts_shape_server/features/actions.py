"""Fixes: sets of annotations that a run saw, each with a title, and what a trial said they resolve.

A `Candidate` is a wish; it becomes a `Fix` only with a trial in the sandbox that says so. Positions are made when the
edit is asked for, so that a fix outlives edits elsewhere in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ts_shape_server.model import Annotation, Failure, Report, TorchScript

_MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Candidate:
    """Annotations to write together. `whole`: all that TorchScript needs in the class."""

    class_name: str
    title: str
    annotations: tuple[Annotation, ...]
    whole: bool


@dataclass(frozen=True)
class Fix:
    """A candidate that was tried: `resolves` names the failures that are gone, by code and message."""

    class_name: str
    title: str
    annotations: tuple[Annotation, ...]
    preferred: bool
    resolves: frozenset[tuple[str, str]]


def candidates(report: Report) -> list[Candidate]:
    """The whole set first, then each needed annotation alone. None for a class that does not run."""
    needed = [item for item in report.torchscript.annotations if item.needed]
    if report.status != "ok" or not needed:
        return []
    name = report.name.rsplit(".", 1)[-1]
    if len(needed) == 1:
        return [Candidate(report.name, _title(needed[0]), (needed[0],), True)]
    whole = Candidate(report.name, f"Annotate all {len(needed)} places that TorchScript needs in {name}", (), True)
    found = [Candidate(whole.class_name, whole.title, tuple(needed), True)]
    found += [Candidate(report.name, _title(item), (item,), False) for item in needed]
    return found[:_MOST_CANDIDATES]


def _title(item: Annotation) -> str:
    if item.name == "return":
        return f"Annotate the result of `{item.function}` as {item.type}"
    if not item.function:
        return f"Annotate `self.{item.name}` as {item.type}"
    return f"Annotate `{item.name}` as {item.type}"


def verified(candidate: Candidate, report: Report, after: TorchScript) -> Fix:
    """The fix that a successful trial proves. A whole fix also resolves the hints about bare parameters."""
    left = {(item.code, item.message) for item in _failures(after)}
    gone = frozenset((item.code, item.message) for item in _failures(report.torchscript)) - left
    return Fix(candidate.class_name, candidate.title, candidate.annotations, candidate.whole, gone)


def _failures(state: TorchScript) -> list[Failure]:
    return [*state.script.failures, *state.trace.failures]


def helps(fix: Fix, code: str, message: str, class_name: str) -> bool:
    """Whether this fix is about a finding with that code and message."""
    if fix.class_name != class_name:
        return False
    if code == "unannotated-input":
        named = message.split("`")[1:2]
        return any(item.function == "forward" and item.name in named for item in fix.annotations)
    return (code, message) in fix.resolves


def together(fixes: Iterable[Fix]) -> tuple[Annotation, ...]:
    """The annotations of the preferred fix of each class: what ``source.fixAll`` writes."""
    return tuple(dict.fromkeys(item for fix in fixes if fix.preferred for item in fix.annotations))


def ordered(fixes: Sequence[Fix]) -> list[Fix]:
    """Preferred ones first; one that resolves nothing the preferred one does not is still offered after it."""
    return sorted(fixes, key=lambda fix: (not fix.preferred, fix.title))
