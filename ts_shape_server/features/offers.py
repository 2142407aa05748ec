"""What a menu may offer at a place of the source besides fixes: annotations, shapes written down, inputs pinned.

Each offer is a change with a promise. It is shown only after a run of the changed file has kept the promise, which is
judged here; how it is run is not known here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ts_shape_server.analysis.edits import Definition, annotate
from ts_shape_server.analysis.modules import FileClasses, ModuleClass, Signature
from ts_shape_server.analysis.rewrites import Rewrite, annotation_title
from ts_shape_server.analysis.scopes import FUNCTIONS, inner_blocks
from ts_shape_server.analysis.signatures import signature
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.analysis.widening import widened
from ts_shape_server.analysis.written import ShapeWriter
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Annotation, Report, TorchScript

Promise = Literal["annotated", "read again", "runs"]


@dataclass(frozen=True)
class Offer:
    """`annotated`: it computes the same and TorchScript takes these places for what they are. ``read again``: the
    report of the changed file says the same. ``runs``: it has a report, with the same constructor arguments. `also` are
    further classes that must keep the promise. `refused`: TorchScript refuses the changed class, as the title says.
    """

    class_name: str
    rewrite: Rewrite
    promise: Promise
    annotations: tuple[Annotation, ...] = ()
    preferred: bool = False
    also: tuple[str, ...] = ()
    refused: bool = False

    @property
    def title(self) -> str:
        return self.rewrite.title


def offers(
    source: SourceText, classes: FileClasses, modules: Iterable[ModuleClass], reports: Mapping[str, Report], at: Range
) -> list[Offer]:
    """What could be changed where the cursor is, the narrowest first. Each still has to be proven."""
    around = [item for item in modules if _within(item.body, at)]
    if classes.syntax_error is not None:
        return []
    if not around:
        found = [
            item for node in _functions(classes.tree.body) for item in _of_helper(source, classes, node, reports, at)
        ]
        return _once(found)
    module = max(around, key=lambda item: item.line)
    found = list(_annotations(source, classes, module, reports, at))
    report = reports.get(module.name)
    heads = [module.name_range, *([module.forward.range] if module.forward is not None else [])]
    if report is not None and report.status == "ok" and any(item.line == at.line for item in heads):
        found += _shapes(ShapeWriter(source, classes, report), report)
    return _once(item for item in found if item.rewrite.edits)


def _once(found: Iterable[Offer]) -> list[Offer]:
    """Offers without doubles: of two that make the same change the last one, which promises the least."""
    return list({(item.rewrite.id, item.rewrite.edits): item for item in found}.values())


def _within(outer: Range, at: Range) -> bool:
    return outer.line <= at.line and at.end_line <= outer.end_line


def _annotations(
    source: SourceText, classes: FileClasses, module: ModuleClass, reports: Mapping[str, Report], at: Range
) -> Iterator[Offer]:
    known = collected(reports.values(), module.name)
    probed = reports.get(module.name)
    if not known or (probed is None or probed.status != "ok"):
        return
    offer = _Offering(source, classes, (module.name,))
    for method in module.methods:
        yield from _of_function(offer, method, known, at)
    attributes = [item for item in known if not item.function]
    for item in attributes:
        if f"self.{item.name}" in source.line(at.line):
            yield from offer([item], annotation_title(item), item.needed)
    if module.name_range.line == at.line and len(attributes) > 1:
        yield from offer(attributes, f"Annotate the attributes of `{module.name}`")


@dataclass(frozen=True)
class _Offering:
    """Makes offers of annotations that all of these classes have to agree to."""

    source: SourceText
    classes: FileClasses
    names: tuple[str, ...]

    def __call__(self, items: Sequence[Annotation], title: str, preferred: bool = False) -> Iterator[Offer]:
        edits, _ = annotate(self.source, self.classes, items)
        if edits:
            first, *also = self.names
            yield Offer(first, Rewrite("annotations", title, edits), "annotated", tuple(items), preferred, tuple(also))


def _of_function(offer: _Offering, function: Signature, known: Iterable[Annotation], at: Range) -> Iterator[Offer]:
    """The annotations of the parameter under the cursor, and of the whole signature that it is in."""
    if not _in_head(function, at):
        return
    own = [item for item in known if item.function == function.name]
    for parameter in function.parameters:
        if parameter.range.contains(at.line, at.column) or parameter.end.contains(at.line, at.column):
            for item in own:
                if item.name == parameter.name:
                    yield from offer([item], annotation_title(item), item.needed)
    yield from offer(own, f"Annotate all parameters and the result of `{function.name}`")


def _of_helper(
    source: SourceText, classes: FileClasses, node: Definition, reports: Mapping[str, Report], at: Range
) -> Iterator[Offer]:
    """The annotations of a function outside of all classes, from the classes whose run called it."""
    callers = [
        name
        for name, report in reports.items()
        if report.status == "ok"
        and any(not item.owner and item.function == node.name for item in report.torchscript.annotations)
    ]
    if callers:
        known = collected((reports[name] for name in callers), "")
        offer = _Offering(source, classes, tuple(callers))
        yield from _of_function(offer, signature(source, node, bound=False), known, at)


def _functions(body: Iterable[ast.stmt]) -> Iterator[Definition]:
    """The functions of a file that stand in no class and no function."""
    for node in body:
        if isinstance(node, FUNCTIONS):
            yield node
        elif not isinstance(node, ast.ClassDef):
            for block in inner_blocks(node):
                yield from _functions(block)


def _in_head(method: Signature, at: Range) -> bool:
    return method.range.line <= at.line <= method.returns_insert.line


def collected(reports: Iterable[Report], owner: str) -> list[Annotation]:
    """The types of one class, over every class of the file whose run reached it; contradictions are left out."""
    types: dict[tuple[str, str], list[Annotation]] = {}
    for report in reports:
        for item in report.torchscript.annotations:
            if item.owner == owner:
                types.setdefault((item.function, item.name), []).append(item)
    found = []
    for (function, name), items in types.items():
        kind = widened([item.type for item in items])
        if kind is not None:
            found.append(Annotation(owner, function, name, kind, any(item.needed for item in items)))
    return found


def _shapes(writer: ShapeWriter, report: Report) -> Iterator[Offer]:
    refused = writer.jaxtyping_is_refused
    promised: list[tuple[Rewrite | None, Promise, bool]] = [
        (writer.docstring(), "read again", False),
        (writer.comments(), "read again", False),
        (writer.jaxtyping(), "read again", refused),
        (writer.pinned_input(), "read again", False),
        (writer.pinned_input(sizes=True), "runs", False),
        (writer.pinned_constructor(), "runs", False),
    ]
    for rewrite, promise, is_refused in promised:
        if rewrite is not None:
            yield Offer(report.name, rewrite, promise, refused=is_refused)


def annotated(offer: Offer, report: Report, after: TorchScript) -> bool:
    """Whether a trial beside the original kept the promise: nothing new is refused, and the types are taken."""
    if after.script.ok is None or (report.torchscript.script.ok and not after.script.ok):
        return False
    before = {item.identity for item in report.torchscript.script.failures}
    if any(item.identity not in before for item in after.script.failures):
        return False
    left = {(item.owner, item.function, item.name) for item in after.annotations if item.needed}
    return not any((item.owner, item.function, item.name) in left for item in offer.annotations)


def told(offer: Offer, report: Report, after: Report) -> bool:
    """Whether the report of the changed file kept the promise."""
    if after.status != "ok" or len(after.mismatches) > len(report.mismatches):
        return False
    if set(after.stubbed) - set(report.stubbed) or _constructed(after) != _constructed(report):
        return False
    if offer.promise == "runs":
        return dict(after.example) == dict(report.example)
    if offer.refused and after.torchscript.script.ok is not False:
        return False
    return _said(after) == _said(report)


def _constructed(report: Report) -> dict[str, str]:
    return {name: item.expression for name, item in report.init}


def _said(report: Report) -> object:
    """What goes in and out, whatever evidence it is from."""
    given = tuple((item.name, item.value) for item in report.inputs)
    return given, report.outputs, dict(report.symbols), set(report.constraints)
