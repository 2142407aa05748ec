"""The general claim of a class that runs: symbols, constraints, and every shape of its inside spelled in them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from ts_shape_server.agent import shares
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.claims import base, claims, draws, indices, lighter, lighter_layers, optional
from ts_shape_server.agent.infer.claims.claim import Claim, Sizes
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.facts import source
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import confirming, search
from ts_shape_server.agent.infer.running import expressions, shots, symbolic
from ts_shape_server.agent.infer.running.pace import Pace
from ts_shape_server.agent.infer.solve import Solved
from ts_shape_server.agent.infer.tell import argument_names, inside, naming, omitted, specs, standing_in
from ts_shape_server.agent.infer.tell.init import init_of
from ts_shape_server.agent.infer.tell.spelling import UNKNOWN, Spelling
from ts_shape_server.contract import dims
from ts_shape_server.contract.report import Report, Symbol, ValueSpec

SHORT_SEARCH = 10
"""Attempts at what a parameter that may be left out takes."""
SAMPLES = 4


def general(
    report: Report, cls: type[nn.Module], solved: Solved, context: Context
) -> tuple[Report, Callable[[], Report]]:
    """`report` with the general claim: symbols, constraints, and all shapes spelled in them; and what gives the same
    with a smaller example where runs on the report's own take long.
    """
    session, found = solved.session, base.of(solved.session, solved.found)
    solved = replace(solved, found=found)
    lines = class_lines(cls)
    traced: shots.Shot | None = None
    guards: tuple[symbolic.Guard, ...] = ()
    began = now()
    seconds = shares.SYMBOLIC_RUN.of(context.remaining())
    pace = Pace(found.outcome.steps, seconds)
    try:
        with time_limit(seconds):
            outcome, traced = shots.take(
                lambda watch: session.symbolic(found.inputs, [*watch, pace]), session.module, context.path, lines
            )
            guards = outcome.guards if outcome.ok else ()
    except TimeLimit:
        pass
    asked = now() - began
    usual, latest = (now() + share.of(context.remaining()) for share in (shares.CLAIM, shares.DEAR_CLAIM))
    trials = Trials(session, found.inputs, found.outcome, usual, latest, confirming.is_small(session, found))
    if traced is not None:
        trials.stated, trials.asking_cost = stated(traced), max(asked, 1e-3)
    claim = indices.checked(trials, claims.generalise(trials, guards))
    if trials.inputs != found.inputs:
        found = replace(found, inputs=trials.inputs, outcome=trials.outcome)
        solved = replace(solved, found=found)
    samples, others = _sampled(solved, claim, trials, context, lines)
    growing = found.inputs
    seen = _without_unseen(claim, samples, traced)
    claim, inputs = indices.with_room(seen, growing)
    if claim.second is not None and not claim.allows(claim.second):
        claim = replace(claim, second=None)
    found = replace(found, inputs=inputs)
    solved = replace(solved, found=found)
    names = naming.name_places(found.inputs, claim, found.outcome.wishes, solved.axes, found.batch_axes)
    spelling = Spelling(claim, names, samples)
    named = argument_names.find(cls, solved.plan, solved.sources, solved.case.init.numbers, session, found, context)
    symbols = _symbols(claim, seen, names, named)
    look = functools.partial(_shortly, solved, context)
    taken = optional.find(trials, claim, solved.omitted, solved.others, look)
    free = naming.name_free(taken, names.values())
    symbols.update(dict.fromkeys(free.values(), Symbol()))
    result = _claimed(report, solved, claim, names, spelling, named, taken, free, growing)
    first = traced if traced is not None else others[0] if others else None
    if first is not None:
        told = shots.spelled(first, others, spelling.told)
        told = _without_mixed(told, naming.varying(found.inputs, claim, names))
        result, told = _without_standing_in(result, told, solved, context, lines)
        told, counted = _counted(told, first, solved, context, lines)
        if counted:
            symbols["N"] = Symbol()
        result = with_inside(result, cls, _renamed(told, named.outputs, trials.rows_are_batch, names))
    result = _with_filled(_with_symbols(result, symbols), {at for item in taken.values() for at in item.filled})
    return result, functools.partial(_light, result, solved, trials, claim)


def _with_filled(report: Report, filled: Collection[int]) -> Report:
    """`report` with results told as optional that are None only where a parameter is left out."""
    told = tuple(
        ValueSpec("Optional[Tensor]") if at in filled and spec.type == "None" else spec
        for at, spec in enumerate(report.outputs)
    )
    return replace(report, outputs=told)


def _with_symbols(report: Report, symbols: Mapping[str, Symbol]) -> Report:
    """`report` with its symbols, but for arguments of the constructor that no size is told by."""
    specs_told: list[ValueSpec] = [item.value for item in report.inputs]
    specs_told += [*report.outputs, *(item.value for item in (*report.variables, *report.uses))]
    used = {name for spec in specs_told for name in _names(spec)}
    used |= {name for layer in report.layers for row in (*layer.inputs, *layer.outputs) for name in _names_of(row)}
    used |= set(_names_of(report.constraints))
    kept = {name: item for name, item in symbols.items() if item.minimum != item.maximum or name in used}
    return replace(report, symbols=tuple(kept.items()))


def _names(spec: ValueSpec) -> Iterator[str]:
    yield from _names_of(spec.dims or ())
    for item in spec.items:
        yield from _names(item)


def _names_of(told: Sequence[int | str]) -> Iterator[str]:
    for item in told:
        yield from dims.names(item)


def _light(report: Report, solved: Solved, trials: Trials, claim: Claim) -> Report:
    """`report` with an example, and a second one, of smaller sizes where there are such, and with arguments that make
    smaller layers where a run takes many products all the same.
    """
    if "script" not in solved.case.context.stages:
        return report
    try:
        with time_limit(shares.LIGHTER.of(solved.case.context.remaining())):
            return _lightened(report, solved, trials, claim)
    except TimeLimit:
        return report


def _lightened(report: Report, solved: Solved, trials: Trials, claim: Claim) -> Report:
    found = lighter.sizes(trials, claim)
    inputs, first, second = solved.found.inputs, claim.base, claim.second
    if found is not None:
        first, second = found[0], found[1] or second
        report = replace(report, example=specs.example(values.with_sizes(inputs, first)))
        if found[1] is not None:
            report = replace(report, second=specs.example(values.with_sizes(inputs, found[1])))
    context = solved.case.context
    runs = [values.with_sizes(inputs, sizes) for sizes in (first, second) if sizes is not None]
    smaller = lighter_layers.arguments(solved.session, solved.plan, runs, context.root, context.path)
    if smaller is None:
        return report
    return replace(report, init=init_of(smaller, solved.sources, context.namespace))


def _shortly(solved: Solved, context: Context, inputs: values.Inputs) -> search.Found | search.NotFound:
    """A short search from inputs on."""
    lines = dict(enumerate(context.source.splitlines(), 1))
    return search.search(
        solved.session, [inputs], context.path, lines, now() + context.remaining(), attempts=SHORT_SEARCH
    )


def stated(traced: shots.Shot) -> Callable[[Sizes], list[int | None]]:
    """What a run on symbols says of the sizes of its outputs, at other sizes of its inputs.

    It leaves open what it has as a number: torch fixes sizes that move.
    """
    rules = [
        (lambda _: None) if isinstance(size, int) else expressions.value_at(size) for size in shots.sections(traced)[2]
    ]
    return lambda sizes: [rule(sizes) for rule in rules]


def with_inside(report: Report, cls: type, shot: shots.Shot) -> Report:
    """`report` with what a shot tells of."""
    notes = report.notes
    if shot.left_out:
        more = f"{shot.left_out} more layer{'s are' if shot.left_out > 1 else ' is'} called than are listed here."
        notes = tuple(dict.fromkeys((*notes, more)))
    return replace(
        report,
        notes=notes,
        outputs=specs.outputs(shot),
        layers=inside.layers(shot.calls, inside.layer_lines(cls)),
        variables=inside.variables(shot.locals),
        uses=inside.variables(shot.uses),
    )


def _sampled(
    solved: Solved, claim: Claim, trials: Trials, context: Context, lines: range
) -> tuple[list[Sizes], list[shots.Shot]]:
    """Sizes that the claim allows, the base first, and what runs at them show."""
    found, session = solved.found, solved.session
    good = [sizes for sizes, ran in trials.known.items() if ran and sizes != claim.base and claim.allows(sizes)]
    preferred = [claim.second] if claim.second is not None else []
    spread = list(draws.spread(claim))
    fallback = sorted(good, key=lambda sizes: -_moved(sizes, claim.base))[: SAMPLES - 2]
    smallest = [min(good, key=sum)] if good else []
    # A size that many strides make smaller is one and the same for all inputs but large ones.
    largest = [max(good, key=sum)] if good and not session.real_only else []
    wanted = list(dict.fromkeys([claim.base, *preferred, *spread, *largest, *smallest, *fallback]))
    samples: list[Sizes] = []
    taken: list[shots.Shot] = []
    deadline = now() + shares.SAMPLES.of(context.remaining())
    for sizes in wanted:
        if taken and (now() > deadline or len(taken) >= max(SAMPLES, 3 + len(spread)) + len(largest)):
            break
        run = functools.partial(session.concrete, values.with_sizes(found.inputs, sizes))
        _, shot = shots.take(run, session.module, context.path, lines)
        if shot is not None:
            samples.append(sizes)
            taken.append(shot)
    if session.real_only and taken:
        # A size that hangs on values is another one for others.
        drawn = [(found.inputs, draw) for draw in values.draws(found.inputs, looked_at=True)[1:]]
        for inputs, draw in (*drawn, (values.all_alike(found.inputs), 0)):
            again = functools.partial(session.on_real, inputs, draw=draw)
            _, shot = shots.take(again, session.module, context.path, lines)
            if shot is not None:
                samples.append(claim.base)
                taken.append(shot)
    return samples, taken


def _without_unseen(claim: Claim, samples: Sequence[Sizes], traced: shots.Shot | None) -> Claim:
    """`claim` without the dims of which no run shows what follows them: the sizes inside are not known at others."""
    stated = [size for size in shots.sizes_of(traced) if not isinstance(size, int)] if traced is not None else []
    told = {str(symbol) for size in stated for symbol in size.free_symbols}
    free = tuple(
        item
        for item in claim.free
        if any(f"s{member}" in told for member in item.members)
        or any(sample[item.members[0]] != claim.base[item.members[0]] for sample in samples)
    )
    return claim if len(free) == len(claim.free) else claims.narrowed(claim, free)


def _moved(sizes: Sizes, base: Sizes) -> int:
    """How many sizes differ, huge ones counting nothing."""
    return sum(here != there and here < 4 * there for here, there in zip(sizes, base))


def _counted(
    told: shots.Shot, first: shots.Shot, solved: Solved, context: Context, lines: range
) -> tuple[shots.Shot, bool]:
    """Sizes that follow the number of items of a list told as ``N``, and whether there are any: seen in a run with one
    item more.
    """
    longer = values.with_one_more(solved.found.inputs)
    if longer is None:
        return told, False
    counts = {len(item.guess.items) for item in longer if isinstance(item.guess, values.SequenceGuess)}
    session = solved.session
    _, shot = shots.take(lambda watch: session.concrete(longer, watch), session.module, context.path, lines)
    if shot is None:
        return told, False
    seen = False

    def count(size: Any, after: Sequence[int]) -> Any:
        nonlocal seen
        if (
            isinstance(size, int)
            and len(after) == 2
            and after[1] == after[0] + 1
            and after[1] in counts
            and size == after[0]
        ):
            seen = True
            return "N"
        return size

    changed = shots.spelled(told, [first, shot], count)
    return changed, seen


def _without_standing_in(
    report: Report, told: shots.Shot, solved: Solved, context: Context, lines: range
) -> tuple[Report, shots.Shot]:
    """Sizes that hang on a module that nobody gives told as unknown, with a note."""
    session, found = solved.session, solved.found
    stood = standing_in.names(solved.plan, solved.sources)
    if not stood:
        return report, told
    _, first = shots.take(lambda watch: session.concrete(found.inputs, watch), session.module, context.path, lines)
    if first is None:
        return report, told
    told, note = standing_in.without_theirs(
        told, first, solved.case.cls, solved.plan, stood, session, found, context.path, lines
    )
    return (replace(report, notes=(*report.notes, note)) if note else report), told


def _without_mixed(told: shots.Shot, varying: Collection[str]) -> shots.Shot:
    """Sizes that come of several items of a list, which may differ and are called the same, told as unknown."""

    def plain(size: Any) -> Any:
        words = list(dims.names(size))
        return UNKNOWN if any(words.count(name) > 1 for name in varying) else size

    if not varying:
        return told
    return shots.respelled(told, [plain(size) for section in shots.sections(told) for size in section])


def _symbols(claim: Claim, seen: Claim, names: Mapping[int, str], named: argument_names.Named) -> dict[str, Symbol]:
    """What each free dim may be; `seen` is the claim before room was made for values."""
    symbols: dict[str, Symbol] = {}
    for item, before in zip(claim.free, seen.free):
        step = 1 if item.remainder else item.multiple_of
        least = before.minimum if before.minimum < item.minimum else None
        symbols[names[item.members[0]]] = Symbol(item.minimum, item.maximum, step, least)
    for name in [*named.places.values(), *named.outputs.values()]:
        symbols.setdefault(name, Symbol(named.values[name], named.values[name]))
    return symbols


def _claimed(
    report: Report,
    solved: Solved,
    claim: Claim,
    names: Mapping[int, str],
    spelling: Spelling,
    named: argument_names.Named,
    taken: Mapping[str, optional.Taken],
    free: Mapping[tuple[str, int], str],
    growing: values.Inputs,
) -> Report:
    sizes = values.sizes(solved.found.inputs)

    def dim(slot: int) -> int | str:
        return names.get(slot, named.places.get(slot, sizes[slot]))

    told = omitted.specs(taken, free, dim)
    inputs, second = solved.found.inputs, claim.second
    steps = [
        f"{names[item.members[0]]} % {item.multiple_of} == {item.remainder}" for item in claim.free if item.remainder
    ]
    return replace(
        report,
        inputs=specs.input_specs(
            inputs, solved.omitted, dim, naming.varying(inputs, claim, names), told, omitted.largest(growing, dim)
        ),
        constraints=(*steps, *spelling.constraints()),
        example=specs.example(inputs),
        second=None if second is None else specs.example(values.with_sizes(inputs, second)),
        notes=(*report.notes, *omitted.limits(growing, dim)),
    )


def _renamed(shot: shots.Shot, named: Mapping[int, str], rows_are_batch: bool, names: Mapping[int, str]) -> shots.Shot:
    """Fixed sizes of the output that follow a constructor argument by its name; its rows, if they are, as the batch."""
    calls, found, output, uses = shots.sections(shot)
    told = [named.get(size, size) if isinstance(size, int) else size for size in output]
    if rows_are_batch and 0 in names and told and told[0] != UNKNOWN:
        told[0] = names[0]
    return shots.respelled(shot, [*calls, *found, *told, *uses])


def class_lines(cls: type) -> range:
    try:
        lines, start = source.class_lines(cls)
    except (OSError, TypeError):
        return range(1, 1_000_000)
    return range(start, start + len(lines))
