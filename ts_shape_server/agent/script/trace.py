"""What `torch.jit.trace` makes of a module: whether it computes what eager does, and where it freezes a value.

A trace of the example is held against eager on other inputs that the module accepts: a second size, other values,
further sizes. A warning stands where one of them gives something else; what torch warns of and no other input changes
(a dim that weights fix, a loop over three parts) is no warning. It knows nothing of scripting.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.runs import Run, seed
from ts_shape_server.agent.script import freezes, locate, randomness, reads, tracing
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.reads import Read, Reads
from ts_shape_server.agent.script.tracing import Noted, Trace
from ts_shape_server.agent.torch_says import tracer
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Failure, ScriptAttempt

Fresh = Callable[[], Any]
Inputs = Callable[[], "tuple[tuple[Any, ...], dict[str, Any]]"]
"""Draws the inputs anew, so that what a run draws itself is the same each time."""
_OF_GRAPHS = frozenset({"trace-constant", "trace-shared-memory", "trace-unrecognised"})
"""Kinds of warnings that are about no read: two graphs, and whether the results agree, tell whether they are true."""


@dataclass
class Traced:
    """`module` is None if tracing failed."""

    module: Any | None = None
    warnings: list[Failure] = field(default_factory=list)

    @property
    def faithful(self) -> bool:
        return self.module is not None and not self.warnings

    @property
    def attempt(self) -> ScriptAttempt:
        return ScriptAttempt(self.faithful, tuple(self.warnings))


@dataclass(frozen=True)
class _Trial:
    """Other inputs on which eager ran: `difference` is how the trace of the example differs from eager there, empty if
    it does not; `trace` is a trace of them, None where that fails or nothing differs.
    """

    where: str
    trace: Trace | None
    difference: str = ""
    detail: str = ""


def trace(
    run: Run,
    fresh: Fresh,
    eager: Callable[[bool], Any],
    name: Location,
    remembers: bool = False,
    affords: Callable[[int], bool] = lambda runs: True,
) -> Traced:
    """Trace a `fresh` instance on the example, and compare with eager on other inputs that it accepts.

    `eager(second)` is what a fresh instance gives on the example, or on the second size. `name` is the location for
    what has no place: the name of `forward`. `remembers`: a call changes what the module holds in Python, so that a
    second call is compared too. `affords` says whether there is time for some more runs.
    """
    module = fresh()
    arguments, keywords = run.arguments()
    before = randomness.state()
    try:
        made = tracing.trace(module, arguments, keywords)
    except Exception as error:
        return Traced(None, [_fails(error, run, fresh, arguments, keywords, name)])
    drew = randomness.state() != before
    judge = _Comparing(run, fresh, made, affords)
    result = Traced(made.module, judge.warnings(eager, name))
    if drew:
        result.warnings += _draws(run, fresh, name)
    if remembers and not result.warnings:
        result.warnings += _remembered(run, fresh, made, name)
    return result


UNASKED = 4
"""So many times the runs at a size that nobody has run yet have to be affordable."""


class _Comparing:
    """Holds one trace against eager."""

    def __init__(self, run: Run, fresh: Fresh, made: Trace, affords: Callable[[int], bool]) -> None:
        self._run, self._fresh, self._made, self._affords = run, fresh, made, affords
        self._has_lstm = any(isinstance(part, torch.nn.LSTM) for part in fresh().modules())
        self._followed: dict[bool, Reads] = {}

    def warnings(self, eager: Callable[[bool], Any], name: Location) -> list[Failure]:
        """What is to be said, torch's own warnings first."""
        with contextlib.suppress(Exception):
            difference, detail = self._compared(self._run.arguments, eager(False))
            if difference:
                found = _without_doubles(item.failure for item in self._made.warnings)
                message = f"the traced module is not faithful on the example: {difference}"
                return [*found, tracing.failure("trace-differs", message, name, detail)]
        trials = list(self._trials(eager))
        standing = [item for item in self._made.warnings if self._stands(item, trials)]
        found = _without_doubles(map(self._worded, standing))
        differing = next((item for item in trials if item.difference), None)
        if differing is None:
            return found
        for number, item in enumerate(found):
            if self._takes_another_way(item, standing, differing):
                return _merged(found, number, f"; {_unfaithful(differing)}")
        return self._told(found, differing, name)

    def _trials(self, eager: Callable[[bool], Any]) -> Iterator[_Trial]:
        """A second size and other values; sizes that nobody has run yet, where a read of a size is in doubt."""
        if self._run.second is not None:
            with contextlib.suppress(Exception):
                yield self._tried("a second size", functools.partial(self._run.arguments, True), eager(True))
        if self._affords(3):
            yield from self._run_there("other values", self._run, 1)
        if any(not item.of_torch and item.failure.kind != "trace-constant" for item in self._made.warnings):
            for sizes in self._run.sizes:
                # Nobody has asked for these: they get a part of the time that is left.
                if self._affords(UNASKED * 3 * -(-_elements(sizes) // max(1, _elements(self._run.example)))):
                    yield from self._run_there("another size", replace(self._run, example=sizes), 0)

    def _run_there(self, where: str, run: Run, draw: int) -> Iterator[_Trial]:
        with contextlib.suppress(Exception), torch.no_grad():
            inputs = functools.partial(_drawn, run, draw)
            yield self._tried(where, inputs, _called(self._fresh(), inputs))

    def _tried(self, where: str, inputs: Inputs, expected: Any) -> _Trial:
        # A frozen batch has torch's LSTM write outside of its memory: such a trace is read and not run.
        is_run = not self._has_lstm or where == "other values"
        difference, detail = self._compared(inputs, expected) if is_run else ("", "")
        if is_run and not difference:
            # What another trace reads is asked for only where this one is not faithful.
            return _Trial(where, None, "", "")
        try:
            other = tracing.trace(self._fresh(), *inputs())
        except Exception as error:
            why = f"it cannot be traced there: {tracing.why(error)}"
            return _Trial(where, None, why, why)
        if not is_run:
            frozen = freezes.first(self._made.module, other.module)
            words = "" if frozen is None else frozen.message
            return _Trial(where, other, words, words)
        return _Trial(where, other, difference, detail)

    def _compared(self, inputs: Inputs, expected: Any) -> tuple[str, str]:
        """How the traced module differs on inputs, in short and at length; empty if it does not."""
        jit: Any = torch.jit
        try:
            with jit.optimized_execution(False):
                difference = compare(expected, _called(self._made.module, inputs)).reason
        except Exception as error:
            return "it raises", f"{type(error).__name__}: {error}"
        return difference, difference

    def _stands(self, item: Noted, trials: list[_Trial]) -> bool:
        """Whether another input that the module accepts gives something else for what torch warns of."""
        unfaithful = [trial for trial in trials if trial.difference]
        kind = item.failure.kind
        if item.of_torch or kind in _OF_GRAPHS:
            return any(trial.trace is None or not self._alike(kind, trial.trace) for trial in unfaithful)
        read = self._made.reads.get(item.place)
        if read is None:
            return bool(unfaithful)
        if any(_differs(read, trial, item.place) for trial in unfaithful):
            return True
        doubtful = self._follows_values(item.place) or self._may_read_otherwise(item.place)
        return doubtful and not self._is_harmless(read, item.place)

    def _may_read_otherwise(self, place: MarkedPlace) -> bool:
        """Whether a condition asks single ones of the sizes that vary, which no other input need have met."""
        here, there = self._origins(False).get(place), self._origins(True).get(place)
        if here is None or there is None or here.kind != "trace-branch":
            return False
        return here.exact and here.sizes != there.sizes

    def _takes_another_way(self, item: Failure, standing: list[Noted], trial: _Trial) -> bool:
        """Whether a branch or loop goes another way in a trial: all else that two traces do not share comes of it."""
        if item.kind not in ("trace-branch", "trace-loop"):
            return False
        places = [noted.place for noted in standing if noted.failure.location == item.location]
        return any(_differs(self._made.reads[place], trial, place) for place in places if place in self._made.reads)

    def _worded(self, item: Noted) -> Failure:
        """A warning of a branch says what its condition depends on: values or a size."""
        known = item.failure.kind == "trace-branch" and item.place in self._made.reads
        return tracing.of_size(item.failure) if known and not self._follows_values(item.place) else item.failure

    def _is_harmless(self, read: Read, place: MarkedPlace) -> bool:
        """Whether the trace is the same whatever is read there: a number that is only kept, a branch that only warns.
        An error that the statement itself raises then is eager's alone.
        """
        values = reads.others(read.values[0]) if len(set(map(repr, read.values))) == 1 else ()
        for value in values:
            if not self._affords(1):
                return False
            try:
                other = tracing.trace(self._fresh(), *self._run.arguments(), forced={place: value})
            except Exception as error:
                raised = tracing.raised_at(error)
                if raised is None or not tracing.is_in_statement(raised, place):
                    # The inputs do not fit the other way: nothing is known of those that do.
                    return False
                continue
            if not freezes.alike(self._made.module, other.module):
                return False
        return bool(values)

    def _alike(self, kind: str, other: Trace) -> bool:
        same = freezes.same_tensors if kind == "trace-constant" else freezes.alike
        return same(self._made.module, other.module)

    def _follows_values(self, place: MarkedPlace) -> bool:
        """Whether a read depends on the values of the inputs. Where another trace cannot tell, it may."""
        read = self._origins(False).get(place)
        return read is None or read.of_values

    def _origins(self, second: bool) -> Reads:
        """The reads of the example, or of the second size, with what they follow."""
        if second and self._run.second is None:
            return {}
        if second not in self._followed:
            try:
                made = tracing.trace(self._fresh(), *self._run.arguments(second), origins=True)
                self._followed[second] = made.reads
            except Exception:
                self._followed[second] = {}
        return self._followed[second]

    def _told(self, found: list[Failure], trial: _Trial, name: Location) -> list[Failure]:
        """The warnings with the difference, at what was frozen: as another trace tells, or the first read that differs.
        A warning that is there already tells more.
        """
        message = _unfaithful(trial)
        frozen: freezes.Freeze | None = None
        if trial.trace is not None:
            with contextlib.suppress(Exception):
                frozen = freezes.first(self._made.module, trial.trace.module)
        read = next((item for item in self._made.reads.items() if _differs(item[1], trial, item[0])), None)
        at_data = [] if read is not None else _through_data(self._run, self._fresh, trial.detail)
        if at_data:
            return [*found, *at_data]
        if read is not None and (frozen is None or frozen.vague):
            told = tracing.of_read(read[0], read[1].kind)
            place, words = told.location, told.message
        elif frozen is not None:
            place, words = locate.location(frozen.place), frozen.message
        else:
            return [*found, tracing.failure("trace-differs", message, name, trial.detail)]
        for number, known in enumerate(found):
            if known.location is not None and place is not None and _line(known.location) == _line(place):
                return _merged(found, number, f"; {message}")
        return [*found, tracing.failure("trace-differs", f"{words}; {message}", place or name, trial.detail)]


def _elements(value: Any) -> int:
    """The elements of all tensors in values as the contract has them."""
    if isinstance(value, Mapping):
        if "tensor" in value:
            return math.prod(value["tensor"])
        return sum(map(_elements, value.values()))
    return sum(map(_elements, value)) if isinstance(value, (list, tuple)) else 0


def _drawn(run: Run, draw: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs with the values of a draw; what a run draws itself stays as in the others."""
    inputs = run.arguments(draw=draw)
    if draw:
        seed()
    return inputs


def _called(module: Any, inputs: Inputs) -> Any:
    """What a module gives on inputs, without gradients."""
    arguments, keywords = inputs()
    with torch.no_grad():
        return module(*arguments, **keywords)


def _differs(read: Read, trial: _Trial, place: MarkedPlace) -> bool:
    """Whether Python read something else there in a trace of other inputs."""
    if trial.trace is None:
        return True
    other = trial.trace.reads.get(place)
    return other is None or other.values != read.values


def _unfaithful(trial: _Trial) -> str:
    return f"the traced module is not faithful on {trial.where}: {trial.difference}"


def _merged(found: list[Failure], number: int, more: str) -> list[Failure]:
    """The warnings, one of which says more."""
    known = found[number]
    return [*found[:number], replace(known, message=known.message + more), *found[number + 1 :]]


def _line(location: Location) -> tuple[str, int]:
    return location.path, location.range.line


def _without_doubles(found: Iterable[Failure]) -> list[Failure]:
    unique: dict[Location | None, Failure] = {}
    for item in found:
        unique.setdefault(item.location, item)
    return list(unique.values())


def _fails(
    error: Exception, run: Run, fresh: Fresh, arguments: tuple[Any, ...], keywords: dict[str, Any], name: Location
) -> Failure:
    detail = f"{type(error).__name__}: {error}"
    if tracer.loses_an_output(str(error)):
        at_data = _through_data(run, fresh, detail)
        if at_data:
            return at_data[0]
    message = f"tracing fails: {tracing.untraceable(arguments, keywords) or tracing.why(error)}"
    return tracing.failure("trace-fails", message, tracing.raised_at(error) or name, detail)


def _through_data(run: Run, fresh: Fresh, detail: str) -> list[Failure]:
    """The last `.data` that a trace loses, if with `.detach()` in place of each the trace follows the input."""
    places: list[Location] = []
    try:
        with tracing.data_as_detached(places):
            made = tracing.trace(fresh(), *run.arguments())
        if not places:
            return []
        for draw in (0, 1):
            inputs = functools.partial(_drawn, run, draw)
            if not compare(_called(fresh(), inputs), _called(made.module, inputs)).agree:
                return []
    except Exception:
        return []
    message = "a trace does not follow `.data`: what comes of it is kept as it is for the example; use `.detach()`"
    return [tracing.failure("trace-data", message, place, detail) for place in places[-1:]]


def _draws(run: Run, fresh: Fresh, name: Location) -> Iterator[Failure]:
    """Numbers that Python or numpy drew: each call of the trace has those of the example."""
    with contextlib.suppress(Exception):
        places = [locate.location(place) for place in randomness.draws(lambda: run.call(fresh()))]
        for place in places or [name]:
            message = "tracing freezes this random number at the one drawn for the example: draw it with torch"
            yield tracing.failure("trace-random-number", message, place, "")


def _remembered(run: Run, fresh: Fresh, made: Trace, name: Location) -> Iterator[Failure]:
    """What each call changes in Python is as the example left it: two calls of both tell."""
    module = fresh()
    first = run.call(module)
    expected = run.call(module)
    if compare(first, expected).agree:
        return
    difference, detail = _Comparing(run, fresh, made, lambda runs: True)._compared(run.arguments, expected)
    if difference:
        again = fresh()
        run.call(again)
        with contextlib.suppress(Exception):
            found = freezes.first(made.module, tracing.trace(again, *run.arguments()).module)
            if found is not None:
                name = locate.location(found.place)
        message = f"tracing freezes what each call of the class changes: a second call differs, {difference}"
        yield tracing.failure("trace-state", message, name, detail)


def state(module: Any) -> list[tuple[str, str, str]]:
    """The plain values that a module and its parts hold, of containers the length."""
    plain, containers = (bool, int, float, str, type(None)), (list, tuple, dict, set)
    return [
        (path, key, repr(value)[:200] if isinstance(value, plain) else str(len(value)))
        for path, part in module.named_modules()
        for key, value in vars(part).items()
        if isinstance(value, (*plain, *containers)) and not key.startswith("_")
    ]
