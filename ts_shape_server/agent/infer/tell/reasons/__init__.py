"""Why nothing was found, as the contract's `reason`: one file for each reason, asked in the order of `ORDER`.

A reason decides by kinds and facts, never by the text of an error, and says it in a sentence for the author. The first
that holds is told: what no input mends comes before what one might. Knows nothing of TorchScript.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace

from ts_shape_server.agent.infer.constructor import building
from ts_shape_server.agent.infer.solve import Case, Missed
from ts_shape_server.agent.infer.tell import contradictions
from ts_shape_server.agent.infer.tell.init import init_of
from ts_shape_server.agent.infer.tell.reasons import (
    called_without_forward,
    constructor_fails,
    every_attempt_failed,
    fixed_sizes_disagree,
    left_to_subclasses,
    name_undefined,
    no_sizes_fit,
    package_missing,
    passed_sizes_refused,
    run_too_slow,
    runs_converted,
    state_in_a_tuple,
    tuple_of_a_layer,
)
from ts_shape_server.agent.infer.tell.reasons.unsolved import PassedByCall, Unfound, Unsolved

ORDER: tuple[Callable[[Unfound], Unsolved | None], ...] = (
    fixed_sizes_disagree.reason,
    no_sizes_fit.reason,
    state_in_a_tuple.reason,
    tuple_of_a_layer.reason,
    passed_sizes_refused.reason,
    package_missing.reason,
    run_too_slow.reason,
    runs_converted.reason,
    left_to_subclasses.reason,
    called_without_forward.reason,
    name_undefined.reason,
)


def of(case: Case, best: Missed | building.NotBuilt) -> Unsolved:
    """Why nothing was found, of the attempt that came furthest."""
    if isinstance(best, building.NotBuilt):
        return constructor_fails.reason(case.cls, best, case.context, case.init.sources)
    plan = best.built.plan
    sources = {name: case.init.sources.get(name, "guess") for name in plan}
    guessed = frozenset(name for name, source in sources.items() if source == "guess")
    certain = not guessed and not case.init.supposed
    passed = tuple(_passed(case, plan, guessed))
    unfound = Unfound(best.built.session, best.result, case.context, passed, certain, plan, guessed)
    told = next((told for reason in ORDER if (told := reason(unfound)) is not None), None)
    told = told or every_attempt_failed.reason(unfound)
    return replace(told, init=init_of(plan, sources, case.context.namespace))


def _passed(case: Case, plan: Mapping[str, str], guessed: Set[str]) -> Iterator[PassedByCall]:
    """What certain calls give to an object that is made with the arguments of `plan`."""
    for item in case.drawn:
        own = dict(item.init or {})
        if not item.certain or not item.inputs or guessed - set(own):
            continue
        if all(plan.get(name) == text for name, text in own.items()):
            yield PassedByCall(tuple(item.inputs.values()), item.path, contradictions.place_of(item))
