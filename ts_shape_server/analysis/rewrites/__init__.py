"""Rewrites of source for TorchScript: one module for each kind, all of them wishes until a trial proves them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ts_shape_server.analysis.rewrites import (
    absence,
    attributes,
    building,
    callables,
    comprehensions,
    constants,
    contexts,
    extraction,
    indexing,
    lists,
    locals,
    loops,
    nesting,
    norms,
    outdated,
    parents,
    results,
    values,
    variadic,
    zips,
)
from ts_shape_server.analysis.rewrites.situation import LEAVES, PLAIN, SIGNATURE, Place, Rewrite, Rewriter, Situation
from ts_shape_server.contract.report import Annotation, Failure

__all__ = ["LEAVES", "PLAIN", "SIGNATURE", "Place", "Rewrite", "Situation", "annotation_title", "proposals"]

_REWRITERS: tuple[Rewriter, ...] = (
    values.converted_arguments,
    values.narrowed,
    values.truth,
    indexing.enumerated,
    indexing.chosen,
    zips.zipped,
    zips.turned_lists,
    loops.part_of_modules,
    loops.part_called,
    indexing.named,
    indexing.unpacked,
    building.built_once,
    building.floats_for_layers,
    building.first_parameter,
    callables.chosen_function,
    callables.given_module,
    nesting.moved_out,
    nesting.lambda_attributes,
    callables.held_function,
    callables.known_keywords,
    norms.weight_norms,
    contexts.entered,
    absence.asked_with_is,
    outdated.variables,
    outdated.new_tensors,
    outdated.private_names,
    parents.parents_method,
    parents.parents_forward,
    parents.parents_sequence,
    outdated.numbers,
    outdated.plain_texts,
    outdated.sets,
    lists.summed,
    lists.multiplied,
    lists.tuples,
    outdated.asked_types,
    outdated.sparse_products,
    outdated.starred_sizes,
    outdated.starred_values,
    outdated.set_attributes,
    outdated.tensor_types,
    outdated.mapped,
    outdated.children,
    comprehensions.written_out,
    locals.typed_start,
    locals.defined_before,
    locals.renamed,
    locals.may_be_none,
    locals.alternative,
    constants.class_values,
    variadic.list_defaults,
    attributes.settings,
    attributes.first_set,
    constants.global_values,
    constants.final_flags,
    constants.decided_in_constructor,
    variadic.named,
    results.union,
    results.chosen,
    results.devices,
    extraction.extract,
    extraction.extract_call,
    extraction.ignore_whole,
)


def proposals(situation: Situation) -> Iterator[tuple[Failure | None, Rewrite]]:
    """What might help: the types that the run saw, and for each refusal the rewrites that know it."""
    for rewrite in types(situation):
        yield None, rewrite
    for failure in situation.state.script.failures:
        place = situation.place(failure)
        if place is None:
            continue
        for rewriter in _REWRITERS:
            for rewrite in rewriter(situation, place):
                yield failure, rewrite


def types(situation: Situation) -> Iterator[Rewrite]:
    """All types that TorchScript needs and the source lacks."""
    needed = [item for item in situation.state.annotations if item.needed]
    edits = situation.annotated(needed)
    if edits:
        many = f"Annotate all {len(needed)} places that TorchScript needs"
        yield Rewrite(many if len(needed) > 1 else annotation_title(needed[0]), edits)


def annotation_title(item: Annotation) -> str:
    if item.name == "return":
        return f"Annotate the result of `{item.function}` as {item.type}"
    if not item.function:
        return f"Annotate `self.{item.name}` as {item.type}"
    return f"Annotate `{item.name}` as {item.type}"
