"""What a parameter that may be left out takes: the shape with which the class runs beside the inputs that were found.

Its dims are sizes of the inputs, or free ones of its own. It is told where runs leave one answer. Where several shapes
run because they are spread over what they meet, what the workspace passes decides; where it passes nothing, or any
shape runs because nobody looks, nothing is known. Changes nothing of the claim about the other inputs, and knows
nothing of names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ts_shape_server.agent import shares, trees
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.infer.claims import draws
from ts_shape_server.agent.infer.claims.claim import Claim, Sizes
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import InputGuess, OneSize, TensorGuess
from ts_shape_server.agent.infer.inputs import search, wishes
from ts_shape_server.agent.infer.running.session import Outcome

RUNS = 24
"""So many runs tell most shapes apart: where they are dear, their work is what there is for it."""
MOST = 4
"""Parameters of one class that are looked at."""
MOST_READINGS = 12
"""Ways to read a shape that is passed, where its sizes are those of several inputs."""
NAMED = 5
"""Sizes of the inputs of which shapes are made."""
LARGEST = 96
"""Of free sizes, at which shapes are tried; features are as wide as they are."""
SENSELESS = (3, 5, 7, 11, 13)
"""A shape that nothing takes which looks at it."""
FAR = 301
"""A size that only a bound refuses."""

Look = Callable[[values.Inputs], "search.Found | search.NotFound"]
"""A short search from inputs on."""


@dataclass(frozen=True)
class Dim:
    """A dim of such a parameter: the size at a place among those of the inputs, a free one (`size` is an example), or
    a number.
    """

    size: int
    place: int | None = None
    free: bool = False


@dataclass(frozen=True)
class Taken:
    """What a parameter takes: `guess` has its dtype and the limits of its values. `filled` are the places among the
    results that are None without it and a tensor with it, as a loss is.
    """

    guess: TensorGuess
    dims: tuple[Dim, ...]
    filled: tuple[int, ...] = ()


def find(
    trials: Trials, claim: Claim, omitted: values.Inputs, passed: Sequence[values.Inputs], look: Look
) -> dict[str, Taken]:
    """For each parameter of `omitted` what it takes, where that is plain or one of the inputs that are `passed` has it.
    Those with a default that says it are left out, and so are those for which the time does not suffice.
    """
    wanted = [item for item in omitted if isinstance(item.guess, TensorGuess)][:MOST]
    samples = _samples(trials, claim) if wanted else []
    if not samples:
        return {}
    session, found = trials.session, {}
    real_only = session.real_only
    try:
        with time_limit(shares.DEAR_OMITTED.of(max(shares.OMITTED, RUNS * trials.cost_of_good))):
            for item in wanted:
                shapes = _Shapes(trials, claim, samples, item)
                # What is passed takes few runs, and decides where several shapes run.
                taken = shapes.as_passed(passed) or shapes.plain(look)
                if taken is not None:
                    found[item.name] = replace(taken, filled=shapes.filled(taken))
    except TimeLimit:
        pass
    finally:
        session.real_only = real_only
    return found


def _samples(trials: Trials, claim: Claim) -> list[Sizes]:
    """Sizes that the claim allows and that run: the first with all free ones apart, another one after it."""
    drawn = [*([claim.second] if claim.second is not None else []), *draws.edges(claim), *draws.spread(claim)]
    drawn += [_apart(claim), claim.base]
    free = [member for item in claim.free for member in item.members]
    largest = {sizes: max((sizes[slot] for slot in free), default=0) for sizes in drawn}
    runs = [sizes for sizes, size in largest.items() if size <= LARGEST or sizes == claim.base]
    first = next((sizes for sizes in runs if _is_apart(claim, sizes) and trials.good(sizes)), None)
    if first is None:
        return []
    other = next((sizes for sizes in runs if sizes != first and min(sizes, default=1) > 1 and trials.good(sizes)), None)
    return [first] if other is None else [first, other]


def _apart(claim: Claim) -> Sizes:
    """The base with each free dim moved by another number of steps."""
    sizes = list(claim.base)
    for order, item in enumerate(claim.free):
        for member in item.members:
            sizes[member] = claim.base[item.members[0]] + (2 * order + 1) * item.multiple_of
    return tuple(sizes) if claim.allows(tuple(sizes)) else claim.base


def _is_apart(claim: Claim, sizes: Sizes) -> bool:
    """Whether no two free dims have the same size, none is 1, and none has a size that is fixed elsewhere."""
    free = [sizes[item.members[0]] for item in claim.free]
    covered = {member for item in claim.free for member in item.members}
    fixed = {size for slot, size in enumerate(sizes) if slot not in covered}
    return len(set(free)) == len(free) and 1 not in free and not fixed & set(free)


class _Shapes:
    """The shapes of one parameter, tried beside the inputs at the sample's sizes."""

    def __init__(self, trials: Trials, claim: Claim, samples: Sequence[Sizes], item: InputGuess) -> None:
        assert isinstance(item.guess, TensorGuess)
        self._trials, self._claim, self._samples = trials, claim, samples
        self._name, self._guess = item.name, item.guess
        self._index = len(values.all_tensors(trials.inputs))
        self._sizes = self._named()

    def plain(self, look: Look) -> Taken | None:
        """What the parameter takes, if there is one answer."""
        if self._run(SENSELESS, self._guess).ok:
            return None
        ran: dict[tuple[Dim, ...], TensorGuess] = {}
        for dims in self._candidates():
            guess = self._taken(dims)
            if guess is not None:
                ran[dims] = guess
        chosen = self._chosen(list(ran))
        if chosen is not None:
            return Taken(ran[chosen], chosen) if self._confirmed(chosen, ran[chosen]) else None
        return None if ran and not self._documented else self._searched(look)

    def as_passed(self, passed: Sequence[values.Inputs]) -> Taken | None:
        """What the workspace passes, with the sizes that it shares with the other inputs there: a size that could be
        several is the first that runs at other sizes too.
        """
        needed = {item.name for item in self._trials.inputs}
        for inputs in passed:
            guess = next((item.guess for item in inputs if item.name == self._name), None)
            if not isinstance(guess, TensorGuess):
                continue
            sizes = [size for item in inputs if item.name in needed for size in _sizes_of(item)]
            if len(sizes) != len(self._samples[0]):
                continue
            known = [self._shared(size, sizes) for size in guess.dims]
            for dims in itertools.islice(itertools.product(*known), MOST_READINGS):
                run = self._run(tuple(dim.size for dim in dims), guess)
                if self._fits(run) and self._confirmed(dims, guess):
                    return Taken(guess, dims)
        return None

    def filled(self, taken: Taken) -> tuple[int, ...]:
        """The places among the results at which a tensor takes the place of None."""
        without = self._trials.outcome.output
        beside = self._run(tuple(dim.size for dim in taken.dims), taken.guess).output
        if not isinstance(without, tuple) or not isinstance(beside, tuple) or len(without) != len(beside):
            return ()
        pairs = enumerate(zip(without, beside))
        return tuple(at for at, (one, other) in pairs if one is None and isinstance(other, torch.Tensor))

    def _shared(self, size: int, sizes: Sequence[int]) -> list[Dim]:
        """What a size may be that is passed beside inputs of these: one of theirs that is free, else the number."""
        slots = [slot for slot, other in enumerate(sizes) if other == size]
        return [dim for dim in self._sizes if dim.place is not None and dim.place in slots] + [Dim(size)]

    @property
    def _documented(self) -> bool:
        """Whether the rank is known: from a library that documents it, or from what the body unpacks."""
        return bool(self._guess.axes) and len(self._guess.axes) == len(self._guess.dims)

    def _named(self) -> list[Dim]:
        """The sizes that a dim may have: free ones of the inputs in their order, then fixed ones."""
        first, covered = self._samples[0], {member for item in self._claim.free for member in item.members}
        free = [Dim(first[item.members[0]], item.members[0]) for item in self._claim.free]
        fixed = [Dim(size) for slot, size in enumerate(first) if slot not in covered and size > 1]
        return list(dict.fromkeys([*sorted(free, key=lambda dim: dim.place or 0), *fixed]))[:NAMED]

    def _candidates(self) -> Iterator[tuple[Dim, ...]]:
        """Shapes of named sizes: as the library documents or the body unpacks, else of up to three dims, and those of
        the inputs.
        """
        if self._documented:
            yield from itertools.product(*(self._of_axis(name) for name in self._guess.axes))
            return
        for rank in (1, 2, 3):
            choices = [self._sizes] * rank
            if rank == 3:
                # With three, the first is the batch.
                choices[0] = self._sizes[:1]
            yield from itertools.product(*choices)
        yield from (shape for shape in self._of_inputs() if len(shape) > 3)

    def _of_axis(self, name: str | None) -> list[Dim]:
        """The sizes for an axis: the one of that name, where it is the name of one size."""
        tensors = values.all_tensors(self._trials.inputs)
        named = [axis for item in tensors for axis in (*item.axes, *(None,) * (len(item.dims) - len(item.axes)))]
        same = [
            slot
            for slot, other in enumerate(named)
            if isinstance(name, OneSize) and isinstance(other, OneSize) and (other, other.of) == (name, name.of)
        ]
        found = [dim for slot in same for dim in self._sizes if dim.place in self._together(slot)]
        return found[:1] or self._sizes

    def _together(self, slot: int) -> tuple[int, ...]:
        return next((item.members for item in self._claim.free if slot in item.members), ())

    def _of_inputs(self) -> list[tuple[Dim, ...]]:
        """The shapes of the inputs."""
        shapes, slot = [], 0
        for tensor in values.all_tensors(self._trials.inputs):
            places = range(slot, slot + len(tensor.dims))
            slot += len(tensor.dims)
            shapes.append(tuple(self._at(place) for place in places))
        return list(dict.fromkeys(shapes))

    def _at(self, slot: int) -> Dim:
        together = self._together(slot)
        return Dim(self._samples[0][slot], together[0] if together else None)

    def _taken(self, dims: tuple[Dim, ...]) -> TensorGuess | None:
        """The parameter's guess if the class runs with it in that shape, of the dtype that its consumer documents."""
        sizes = tuple(dim.size for dim in dims)
        outcome = self._run(sizes, self._guess)
        wish = (outcome.wishes or {}).get(self._index)
        guess = self._guess
        if wish is not None and wish.dtype is not None and wish.dtype != guess.dtype:
            guess = replace(guess, dtype=wish.dtype, low=0, high=1)
            outcome = self._run(sizes, guess)
            wish = (outcome.wishes or {}).get(self._index)
        firm = wish is not None and wish.firm and wish.rank is not None and wish.rank != len(dims)
        if wish is not None and not firm:
            guess = wishes.within(guess, wish)
        return guess if self._fits(outcome) and not firm else None

    def _fits(self, outcome: Outcome) -> bool:
        """Whether a run succeeded, with as many dims as without the parameter: else what it met was spread. What comes
        out only with it, as a loss does in the place of None, has any.
        """
        if not outcome.ok:
            return False
        without, beside = list(trees.leaves(self._trials.outcome.output)), list(trees.leaves(outcome.output))
        ranks = [(getattr(one, "ndim", None), getattr(other, "ndim", None)) for one, other in zip(without, beside)]
        return len(without) != len(beside) or all(one == other or None in (one, other) for one, other in ranks)

    def _chosen(self, ran: list[tuple[Dim, ...]]) -> tuple[Dim, ...] | None:
        """The only shape that ran, or the shape of an input of which all others are parts, or that they have in another
        order: what is flattened runs in any.
        """
        if len(ran) == 1:
            return ran[0]
        whole = [shape for shape in self._of_inputs() if shape in ran]
        return next((one for one in whole if all(_is_of(other, one) for other in ran)), None)

    def _confirmed(self, dims: tuple[Dim, ...], guess: TensorGuess) -> bool:
        """Whether it runs at the other sizes too, and in memory where that is possible."""
        for sizes in self._samples[1:]:
            moved = tuple(dim.size if dim.place is None else sizes[dim.place] for dim in dims)
            if not self._trials.session.concrete(self._beside(sizes, moved, guess)).ok:
                return False
        if not self._trials.small:
            return True
        example = self._beside(self._samples[0], tuple(dim.size for dim in dims), guess)
        return self._trials.session.quickly(example).ok

    def _searched(self, look: Look) -> Taken | None:
        """What short searches come to, where they agree on how many dims there are: dims that are nobody else's are
        free.
        """
        given = values.with_sizes(self._trials.inputs, self._samples[0])
        start = tuple(replace(item, given=True) for item in given)
        found: dict[int, TensorGuess] = {}
        for dims in self._starts():
            result = look((*start, InputGuess(self._name, replace(self._guess, dims=dims, axes=()))))
            guess = result.inputs[-1].guess if result.inputs else None
            if not isinstance(result, search.Found) or not isinstance(guess, TensorGuess):
                continue
            kept = len(result.inputs) == len(start) + 1 and values.sizes(result.inputs[:-1]) == values.sizes(start)
            if kept and 1 not in guess.dims and self._fits(result.outcome):
                axes = self._guess.axes if len(self._guess.axes) == len(guess.dims) else ()
                found.setdefault(len(guess.dims), replace(guess, axes=axes))
        return self._free(next(iter(found.values()))) if len(found) == 1 else None

    def _starts(self) -> Iterator[tuple[int, ...]]:
        """Dims to begin with: those of the guess where they are documented, else of each usual rank, for each item of
        the batch.
        """
        if self._documented:
            known = [self._of_axis(name) for name in self._guess.axes]
            yield tuple(one[0].size if len(one) == 1 else size for one, size in zip(known, self._guess.dims))
            return
        batch = self._samples[0][0]
        yield from ((batch, 16), (batch, 8, 16), (batch, 3, 8, 8))

    def _free(self, guess: TensorGuess) -> Taken | None:
        """The dims of a shape that ran, with those that may have any size."""
        known = {dim.size: dim for dim in reversed(self._sizes)}
        dims: list[Dim] = []
        for axis, size in enumerate(guess.dims):
            free = all(self._moves(guess, axis, other) for other in (size + 1, 1, FAR))
            dims.append(Dim(size, free=True) if free else known.get(size, Dim(size)))
            if not free and self._moves(guess, axis, size + 1):
                return None
        return Taken(guess, tuple(dims)) if self._confirmed(tuple(dims), guess) else None

    def _moves(self, guess: TensorGuess, axis: int, size: int) -> bool:
        """Whether the class runs with another size of that axis."""
        return self._run((*guess.dims[:axis], size, *guess.dims[axis + 1 :]), guess).ok

    def _run(self, dims: tuple[int, ...], guess: TensorGuess) -> Outcome:
        return self._trials.session.concrete(self._beside(self._samples[0], dims, guess))

    def _beside(self, sizes: Sizes, dims: tuple[int, ...], guess: TensorGuess) -> values.Inputs:
        given = values.with_sizes(self._trials.inputs, sizes)
        return (*given, InputGuess(self._name, replace(guess, dims=dims, axes=())))


def _sizes_of(item: InputGuess) -> list[int]:
    return [size for tensor in values.tensors(item.guess) for size in tensor.dims]


def _is_of(part: tuple[Dim, ...], whole: tuple[Dim, ...]) -> bool:
    """Whether a shape is spread over the first dims of another one, or has the same dims in another order."""
    return part == whole[len(whole) - len(part) :] or (len(part) == len(whole) and set(part) == set(whole))
