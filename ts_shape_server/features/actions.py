"""Fixes for an editor's menu: text edits with a title, and what a trial said they resolve.

A fix keeps the text that it was made for: it is still good after edits elsewhere in the file, and gone once one of its
own lines changed.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ts_shape_server.analysis.edits import annotate
from ts_shape_server.analysis.fitting import fitted
from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.rewrites import Rewrite, annotation_title
from ts_shape_server.analysis.rewrites.extraction import CANNOT_BE_SAVED
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation, Failure, Identity, Report, TorchScript
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.repair import Change, Repaired, edits_between, wishes

_MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Candidate:
    """A rewrite to try alone. `annotated` are the parameters of `forward` that it gives a type."""

    class_name: str
    rewrite: Rewrite
    annotated: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        return self.rewrite.title


@dataclass(frozen=True)
class Fix:
    """Edits of `text` that were tried: `resolves` are the failures that are gone. `changes` are the rewrites in it."""

    class_name: str
    title: str
    text: str
    edits: tuple[TextEdit, ...]
    preferred: bool
    resolves: frozenset[Identity]
    annotated: frozenset[str] = frozenset()
    changes: tuple[Change, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        """Equal for two fixes of a class that come to the same text, however their edits are cut."""
        return self.class_name, SourceText(self.text).apply(self.edits)


def candidates(report: Report, text: str) -> list[Candidate]:
    """Every rewrite that the report asks for, alone: single annotations first. None for a class that does not run."""
    if report.status != "ok":
        return []
    found = [_annotation(report, text, item) for item in report.torchscript.annotations if item.needed]
    rewrites = [
        Candidate(report.name, wish.rewrite)
        for wish in wishes(report, text, report.torchscript)
        if wish.failure is not None
    ]
    return [item for item in [*found, *rewrites] if item.rewrite.edits][:_MOST_CANDIDATES]


def _annotation(report: Report, text: str, item: Annotation) -> Candidate:
    source = SourceText(text)
    edits, _ = annotate(source, find_classes(source)[0], [item])
    return Candidate(report.name, Rewrite("annotations", annotation_title(item), edits), _parameters([item]))


def _parameters(annotations: Iterable[Annotation]) -> frozenset[str]:
    return frozenset(item.name for item in annotations if item.function == "forward")


def verified(candidate: Candidate, report: Report, text: str, after: TorchScript) -> Fix:
    """The fix that a successful trial of one rewrite proves."""
    gone = _gone(report.torchscript, after)
    edits = candidate.rewrite.edits
    return Fix(report.name, candidate.title, text, edits, False, gone, candidate.annotated, _change(candidate))


def _change(candidate: Candidate) -> tuple[Change, ...]:
    return (Change(candidate.rewrite.id, candidate.rewrite.title),)


def misfits(report: Report) -> list[Failure]:
    """The failures of a report that two sizes are the reason of."""
    found = [report.reason] if report.status == "failed" and report.reason is not None else list(report.mismatches)
    return [item for item in found if item.sizes is not None]


def fitting(report: Report, text: str, failure: Failure) -> list[Candidate]:
    """What could make the two sizes of a failure agree, to be probed one by one."""
    source = SourceText(text)
    made = fitted(source, find_classes(source)[0], report.name, failure)
    return [Candidate(report.name, item) for item in made[:_MOST_CANDIDATES]]


def fits(candidate: Candidate, report: Report, text: str, failure: Failure, after: Report) -> Fix | None:
    """The fix, if the class with that change runs, what did not fit does, and no call is refused that was not."""
    if after.status != "ok" or refuses_more(report, after, failure):
        return None
    gone = frozenset({failure.identity})
    edits = candidate.rewrite.edits
    return Fix(report.name, candidate.title, text, edits, False, gone, changes=_change(candidate))


def refuses_more(before: Report, after: Report, failure: Failure | None = None) -> bool:
    """Whether a call is refused that was not before, or that of `failure` still is."""
    known = Counter(item.identity for item in before.mismatches)
    if failure is not None:
        known -= Counter([failure.identity])
    return bool(Counter(item.identity for item in after.mismatches) - known)


def with_preferred(fixes: Sequence[Fix]) -> list[Fix]:
    """The same fixes with the first one marked."""
    return [replace(fix, preferred=not number) for number, fix in enumerate(fixes)]


def repaired(done: Repaired, report: Report, text: str) -> Fix | None:
    """The fix that a repair of the whole class comes to; None if it found nothing."""
    if done.text == text:
        return None
    name = report.name.rsplit(".", 1)[-1]
    title = (
        done.changes[0].title
        if len(done.changes) == 1
        else f"Repair {name} for TorchScript, {len(done.titles)} changes"
    )
    if len(done.titles) != 1 and not done.whole:
        title = f"Repair what can be in {name}, {len(done.titles)} changes"
    if len(done.titles) != 1 and done.leaves:
        title = f"{title}, {CANNOT_BE_SAVED}"
    needed = [item for item in report.torchscript.annotations if item.needed]
    gone = _gone(report.torchscript, done.state)
    edits, preferred = edits_between(text, done.text), not done.leaves
    return Fix(report.name, title, text, edits, preferred, gone, _parameters(needed), done.changes)


def all_of(text: str, edits: Sequence[TextEdit]) -> Fix:
    """What ``source.fixAll`` writes."""
    return Fix("", "Make all verified repairs for TorchScript", text, tuple(edits), True, frozenset())


def _gone(before: TorchScript, after: TorchScript) -> frozenset[Identity]:
    """The refusals that a trial no longer has; it does not trace, so of traces it tells nothing."""
    left = {item.identity for item in after.script.failures}
    return frozenset(item.identity for item in before.script.failures) - left


def helps(fix: Fix, finding: Finding) -> bool:
    """Whether this fix is about a finding."""
    if fix.class_name != finding.class_name:
        return False
    if finding.code == "unannotated-input":
        return finding.fact("parameter") in fix.annotated
    return finding.identity in fix.resolves


def repair_of(fixes: Sequence[Fix]) -> Fix | None:
    """The fix that repairs a class as far as it can be."""
    return next(iter(ordered(fixes)), None)


def ordered(fixes: Sequence[Fix]) -> list[Fix]:
    """Preferred ones first; one that resolves nothing the preferred one does not is still offered after it."""
    return sorted(fixes, key=lambda fix: (not fix.preferred, fix.title))


def edits_for(fix: Fix, text: str) -> tuple[TextEdit, ...] | None:
    """The fix's edits in a text that has changed elsewhere; None where a line that they touch is another."""
    if text == fix.text:
        return fix.edits
    old, new = SourceText(fix.text), SourceText(text)
    lines: dict[int, int] = {}
    for block in difflib.SequenceMatcher(None, old.lines, new.lines, autojunk=False).get_matching_blocks():
        lines.update({block.a + offset + 1: block.b + offset + 1 for offset in range(block.size)})
    moved = []
    for edit in fix.edits:
        span = edit.range
        # An edit that ends where a line begins does not touch that line.
        behind = int(span.end_column == 0 and span.end_line > span.line)
        last = span.end_line - behind
        if any(number not in lines for number in range(span.line, last + 1)):
            return None
        start, end = lines[span.line], lines[last] + behind
        if end - start != span.end_line - span.line:
            return None
        moved.append(TextEdit(Range(start, span.column, end, span.end_column), edit.text))
    return tuple(moved)
