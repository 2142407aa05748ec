"""Rewrites of source for TorchScript: one module for each kind, all of them wishes until a trial proves them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.rewrites import (
    absence,
    absent_numbers,
    attributes,
    autograd_functions,
    building,
    callables,
    compared_texts,
    comprehensions,
    constants,
    contexts,
    defaults,
    dicts,
    einops_calls,
    enums,
    extraction,
    factories,
    held_objects,
    held_optionals,
    indexed_loops,
    indexing,
    keywords,
    listed_modules,
    lists,
    locals,
    loops,
    missing_modules,
    mixins,
    named_tuples,
    nesting,
    norms,
    numpy_sizes,
    numpy_values,
    outdated,
    parents,
    results,
    sizes,
    spectral_norms,
    tries,
    values,
    variadic,
    zips,
)
from ts_shape_server.analysis.rewrites.situation import LEAVES, PLAIN, SIGNATURE, Place, Rewrite, Rewriter, Situation
from ts_shape_server.contract.report import Annotation, Failure

__all__ = ["LEAVES", "PLAIN", "SIGNATURE", "Place", "Rewrite", "Situation", "annotation_title", "proposals"]

ANY: tuple[str, ...] = ()
"""For rewrites of a source that is wrong whatever torch says of it."""


@dataclass(frozen=True)
class Rule:
    """A rewriter with the kinds of refusals, traps and complaints that it knows something against."""

    rewriter: Rewriter
    kinds: tuple[str, ...]


RULES: tuple[Rule, ...] = (
    Rule(enums.unused_methods, ANY),
    Rule(enums.compared_by_value, ANY),
    Rule(compared_texts.annotated, ("no-matching-overload", "expected-types", "argument-type")),
    Rule(enums.texts_as_values, ("no-matching-overload", "expected-types", "argument-type", "unrecognised")),
    Rule(absent_numbers.as_zero, ("argument-type",)),
    Rule(values.converted_arguments, ("expected-types",)),
    Rule(held_optionals.held, ANY),
    Rule(values.narrowed, ("none-or-optional",)),
    Rule(
        dicts.parameter,
        ("tensor-index-type", "not-subscriptable", "variable-type-changed", "none-or-optional"),
    ),
    Rule(dicts.values, ("no-matching-overload",)),
    Rule(dicts.read_back, ANY),
    Rule(named_tuples.from_dataclass, ("constructor-source-missing",)),
    Rule(einops_calls.as_methods, ("library-function",)),
    Rule(values.truth, ("truth-value",)),
    Rule(missing_modules.identities, ("differs-from-eager",)),
    Rule(indexed_loops.over_modules, ("module-list-index",)),
    Rule(indexing.chosen, ("module-list-index", "module-dict-index")),
    Rule(zips.zipped, ("module-zip", "reversed-overload")),
    Rule(zips.turned_lists, ("reversed-overload",)),
    Rule(
        loops.part_of_modules,
        ("method-unknown", "reversed-overload", "not-callable", "tuple-slice", "differs-from-eager"),
    ),
    Rule(loops.part_called, ("method-unknown", "reversed-overload", "not-callable", "tuple-slice")),
    Rule(indexing.named, ("getattr-name", "attribute-missing")),
    Rule(indexing.unpacked, ("tuple-length-unknown",)),
    Rule(building.built_once, ("class-instantiated",)),
    Rule(defaults.without_gradient, ("no-matching-overload",)),
    Rule(defaults.for_each_place, ("default-without-type",)),
    Rule(numpy_sizes.as_numbers, ("constant-unsupported",)),
    Rule(numpy_values.by_torch, ANY),
    Rule(building.floats_for_layers, ("expected-types",)),
    Rule(building.first_parameter, ANY),
    Rule(callables.chosen_function, ANY),
    Rule(callables.given_module, ("not-callable",)),
    Rule(nesting.moved_out, ("nested-function",)),
    Rule(
        nesting.lambda_attributes,
        ("attribute-unsupported", "attribute-function", "attribute-missing", "method-unknown", "attribute-unknown"),
    ),
    Rule(callables.held_function, ("attribute-unsupported", "attribute-function", "attribute-missing")),
    Rule(factories.named_functions, ("attribute-unsupported", "attribute-function", "attribute-missing")),
    Rule(callables.known_keywords, ("keyword-expansion",)),
    Rule(norms.weight_norms, ("hook-class",)),
    Rule(spectral_norms.spectral_norms, ("hook-class",)),
    Rule(autograd_functions.formula, ("cannot-be-saved",)),
    Rule(tries.needless, ("try-block",)),
    Rule(contexts.entered, ("no-grad-left-out", "decorator-hides-names")),
    Rule(absence.asked_with_is, ("none-or-optional", "equality-operator")),
    Rule(outdated.variables, ("legacy-variable",)),
    Rule(outdated.new_tensors, ANY),
    Rule(
        outdated.private_names,
        ("attribute-missing", "attribute-unsupported", "attribute-function", "attribute-first-set"),
    ),
    Rule(mixins.layer_behind, ANY),
    Rule(parents.parents_method, ANY),
    Rule(parents.parents_forward, ANY),
    Rule(parents.parents_sequence, ANY),
    Rule(outdated.numbers, ANY),
    Rule(outdated.plain_texts, ("f-string",)),
    Rule(outdated.sets, ("set",)),
    Rule(lists.summed, ANY),
    Rule(lists.multiplied, ANY),
    Rule(lists.tuples, ("list-length-unknown", "generator-expression")),
    Rule(outdated.asked_types, ("is-tensor",)),
    Rule(outdated.sparse_products, ("sparse-product",)),
    Rule(sizes.starred_targets, ("list-length-unknown",)),
    Rule(
        sizes.products,
        (
            "no-matching-overload",
            "expected-types",
            "argument-type",
            "variable-type-changed",
            "range-type",
            "branch-types",
        ),
    ),
    Rule(outdated.starred_sizes, ("list-length-unknown",)),
    Rule(outdated.starred_values, ("list-length-unknown",)),
    Rule(outdated.set_attributes, ("attribute-assignment",)),
    Rule(outdated.tensor_types, ANY),
    Rule(listed_modules.called_in_turn, ANY),
    Rule(outdated.mapped, ANY),
    Rule(outdated.children, ("attribute-missing",)),
    Rule(comprehensions.written_out, ("comprehension-condition",)),
    Rule(locals.typed_start, ANY),
    Rule(locals.defined_before, ("branch-undefined", "name-undefined")),
    Rule(locals.renamed, ("variable-type-changed",)),
    Rule(locals.may_be_none, ("none-default",)),
    Rule(locals.alternative, ("conditional-types", "truth-value")),
    Rule(constants.class_values, ("attribute-missing", "attribute-unsupported", "attribute-function")),
    Rule(variadic.list_defaults, ("mutable-default",)),
    Rule(attributes.settings, ("attribute-unsupported", "python-value", "attribute-lookup", "method-unknown")),
    Rule(held_objects.left_out, ("attribute-cast", "cannot-be-saved")),
    Rule(attributes.first_set, ("attribute-first-set", "attribute-missing")),
    Rule(constants.global_values, ("python-value",)),
    Rule(constants.final_flags, ANY),
    Rule(constants.decided_in_constructor, ANY),
    Rule(keywords.passed_on, ("variadic", "keyword-expansion")),
    Rule(variadic.named, ("variadic", "keyword-expansion")),
    Rule(results.union, ("return-types", "return-annotation")),
    Rule(results.chosen, ("conditional-types",)),
    Rule(results.devices, ("device-type",)),
    Rule(extraction.extract, ANY),
    Rule(extraction.extract_call, ANY),
    Rule(extraction.ignore_whole, ANY),
)
"""In the order in which they are tried; of one depth, the first that helps is taken."""


def asked(failure: Failure) -> Iterator[Rewriter]:
    """The rewriters that know something against a refusal, by its kind and by what torch complains of."""
    kinds = {failure.kind, *(item.kind for item in failure.complaints)}
    for rule in RULES:
        if not rule.kinds or not kinds.isdisjoint(rule.kinds):
            yield rule.rewriter


def proposals(situation: Situation) -> Iterator[tuple[Failure | None, Rewrite]]:
    """What might help: the types that the run saw, and for each refusal the rewrites that know it."""
    for rewrite in types(situation):
        yield None, rewrite
    for failure in situation.state.script.failures:
        place = situation.place(failure)
        if place is None:
            continue
        for rewriter in asked(failure):
            for rewrite in rewriter(situation, place):
                yield failure, rewrite


def types(situation: Situation) -> Iterator[Rewrite]:
    """All types that TorchScript needs and the source lacks."""
    needed = [
        item
        for item in situation.state.annotations
        if item.needed and not dicts.has_text_keys(situation, item) and not absent_numbers.settles(situation, item)
    ]
    edits = situation.annotated(needed)
    if edits:
        many = f"Annotate all {len(needed)} places that TorchScript needs"
        yield Rewrite("annotations", many if len(needed) > 1 else annotation_title(needed[0]), edits)


def annotation_title(item: Annotation) -> str:
    if item.name == "return":
        return f"Annotate the result of `{item.function}` as {item.type}"
    if not item.function:
        return f"Annotate `self.{item.name}` as {item.type}"
    return f"Annotate `{item.name}` as {item.type}"
