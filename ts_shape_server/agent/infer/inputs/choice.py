"""Several inputs run; one is meant. Takes the find that a search came to, tries its tensors with other numbers of dims
and other sizes, and keeps the best by what the runs show.

What speaks against a find, the gravest first: layers get single items, or tensors are spread over a table's dims;
the rows of the output are not those of the input; a size that `forward` asks for cannot be another; many sizes are
fixed; of two sizes that only have a product, the one is not the other; inputs are spread over each other. Where
nothing speaks against a find it is kept as it is. Counts torch calls, never time. Knows nothing of names or claims.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy
import torch

from ts_shape_server.agent import trees
from ts_shape_server.agent.infer.facts.body import Hint
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import SEQUENCE, default_sizes, tells_of_steps
from ts_shape_server.agent.infer.guesses.values import Inputs, TensorGuess
from ts_shape_server.agent.infer.inputs import search, solving
from ts_shape_server.agent.infer.inputs.doubts import Doubts
from ts_shape_server.agent.infer.running import forms, symbolic
from ts_shape_server.agent.infer.running.session import Outcome, Session

CALLS = 24_000
"""Torch calls of all runs together, after which the best so far is taken."""
RANKS = (3, 2, 4, 5, 1)
"""Numbers of dims in the order in which they are tried."""
BESIDE = ((3, 2), (2, 1), (4, 2))
"""Numbers of dims of two tensors, the second with something for each item of the first: a mask, lengths, a label."""
LARGEST_MATRIX = 3
"""Dims of a batch of matrices."""
LEAST_OF_ITEMS = 2
"""Dims of a table, which any tensor can be taken for."""
ROUNDS = 2
"""How often all tensors are gone through again after one was changed."""
CAME_BACK = 4
"""So many searches in a row that came back to a find which nothing but fixed sizes speaks against confirm it."""

Again = Callable[[Inputs], "search.Found | search.NotFound"]
"""A short search from other inputs on."""


@dataclass(frozen=True)
class _Judged:
    found: search.Found
    doubts: Doubts

    @property
    def is_plain(self) -> bool:
        """Whether nothing speaks against it, each tensor has one fixed size at most, as features or channels are, and
        none has more dims than a sequence where its consumers ask for none.
        """
        # Features and channels are of floating numbers; indices come in any number.
        tensors = values.all_tensors(self.found.inputs)
        few = self.doubts.fixed <= sum("int" not in tensor.dtype for tensor in tensors)
        return (
            not self.doubts.is_grave
            and not self.doubts.raised
            and not self.doubts.ones
            and few
            and _distance(self.found, beyond=1) == 0
        )


def best(session: Session, found: search.Found, again: Again, hints: Mapping[str, Hint]) -> search.Found:
    """The find that is meant, as far as runs can tell; `found` itself where nothing speaks against it."""
    judge = _Judge(session, hints)
    found = _without_ones(session, _with_equal_lengths(session, found))
    here = judge.of(found)
    if here is None or not _open(found.inputs) or not (here.doubts.is_grave or _may_be_other(here)):
        return _told(session, here.found if here is not None else found, "")
    first = here
    tried = {found.inputs}
    back = 0
    for _ in range(ROUNDS):
        before = here
        for inputs in _others(session, here):
            if judge.calls > CALLS or here.is_plain or (back >= CAME_BACK and not here.doubts.is_grave):
                break
            if inputs in tried:
                continue
            tried.add(inputs)
            result = again(inputs)
            judge.calls += result.outcome.steps * (result.attempts if isinstance(result, search.NotFound) else 2)
            if not isinstance(result, search.Found):
                continue
            back = back + 1 if result.inputs == here.found.inputs else 0
            if back:
                continue
            tried.add(result.inputs)
            other = judge.of(result)
            if other is not None and (other.doubts, _distance(other.found)) < (here.doubts, _distance(here.found)):
                here = other
        if here is before or here.is_plain:
            break
    return _told(session, here.found, "" if here is first else first.doubts.word)


def _without_ones(session: Session, found: search.Found) -> search.Found:
    """The find with sizes of one as large as those of the first tensor at their axis, where it runs so too: a one is
    spread over what it meets.
    """
    owners, tensors = values.owners(found.inputs), values.all_tensors(found.inputs)
    for index, tensor in enumerate(tensors[1:], 1):
        first = tensors[0].dims[: len(tensor.dims)]
        ones = [axis for axis, size in enumerate(first) if size > 1 == tensor.dims[axis] and axis > 0]
        if not ones or owners[index].given:
            continue
        dims = tuple(tensors[0].dims[axis] if axis in ones else size for axis, size in enumerate(tensor.dims))
        inputs = values.with_tensor(found.inputs, index, functools.partial(replace, dims=dims))
        outcome = session.concrete(inputs)
        found = replace(found, inputs=inputs, outcome=outcome) if outcome.ok else found
    return found


def _may_be_other(judged: _Judged) -> bool:
    """Whether sizes that are fixed, or are one, leave a doubt which no layer's own form takes away."""
    return bool(judged.doubts.fixed or judged.doubts.ones) and _weakly_formed(judged.found)


def _with_equal_lengths(session: Session, found: search.Found) -> search.Found:
    """The find with what is told of each step, as tags and flags are, as long as the sequence beside it, where it runs
    so too: nothing asked for the lengths that were tried first.
    """
    tensors, owners = values.all_tensors(found.inputs), values.owners(found.inputs)
    long = [tensor for tensor in tensors if len(tensor.dims) == 3 and tensor.dims[1] == SEQUENCE]
    if not long:
        return found

    def change(index: int, guess: TensorGuess) -> values.Guess:
        told = tells_of_steps(owners[index].name, guess.dtype)
        plain = guess.dims == default_sizes(2) and not owners[index].given
        return replace(guess, dims=(guess.dims[0], SEQUENCE)) if told and plain else guess

    inputs = values.map_tensors(found.inputs, change)
    outcome = session.concrete(inputs) if inputs != found.inputs else None
    return replace(found, inputs=inputs, outcome=outcome) if outcome is not None and outcome.ok else found


def _told(session: Session, found: search.Found, why: str) -> search.Found:
    """The find with what won it, and with which dim of each tensor the layers take for the batch."""
    return replace(found, why=why, batch_axes=batch_axes(session, found.inputs))


def batch_axes(session: Session, inputs: Inputs) -> tuple[int | None, ...]:
    """For each tensor the dim that the layers which read sequences take for the batch; None where none says so."""
    watched = forms.Forms(session.module)
    tensors = values.all_tensors(inputs)
    output = search.first_tensor(session.concrete(inputs, [watched]).output)
    if watched.batch is None:
        rows = int(output.shape[0]) if output is not None and output.dim() > 1 else None
        return tuple(0 if tensor.dims == (rows,) and "int" not in tensor.dtype else None for tensor in tensors)
    places = [[axis for axis, size in enumerate(tensor.dims) if size == watched.batch] for tensor in tensors]
    for axis in sorted({axis for axes in places if len(axes) > 1 for axis in axes}):
        if _grows(session, inputs, watched.batch, [axes if len(axes) == 1 else [axis] for axes in places]):
            places = [[axis] if axis in axes and len(axes) > 1 else axes for axes in places]
    return tuple(axes[0] if len(axes) == 1 else None for axes in places)


def _grows(session: Session, inputs: Inputs, batch: int, places: Sequence[Sequence[int]]) -> bool:
    """Whether layers take one item more for the batch if these axes of the tensors have one more, where they had as
    many as the batch: other sizes may be the same by luck.
    """
    sizes = [
        size + (size == batch and axis in axes)
        for tensor, axes in zip(values.all_tensors(inputs), places)
        for axis, size in enumerate(tensor.dims)
    ]
    watched = forms.Forms(session.module)
    return session.concrete(values.with_sizes(inputs, sizes), [watched]).ok and watched.batch == batch + 1


class _Judge:
    def __init__(self, session: Session, hints: Mapping[str, Hint]) -> None:
        self._session = session
        self._hints = hints
        self.calls = 0

    def of(self, found: search.Found) -> _Judged | None:
        """The doubts about a find; None if it does not run again."""
        watched = forms.Forms(self._session.module)
        outcome = self._run(found.inputs, [watched])
        if not outcome.ok:
            return None
        stuck = self._stuck(found.inputs)
        misused = watched.single + watched.spread
        rows = int(not self._keeps_rows(found.inputs, watched.batch))
        ones = sum(size == 1 and slot not in stuck for slot, size in enumerate(values.sizes(found.inputs)))
        return _Judged(
            found,
            Doubts(
                misused,
                rows,
                self._asked(found.inputs, stuck),
                len(stuck),
                _uneven(found, stuck),
                watched.raised,
                ones,
            ),
        )

    def _run(self, inputs: Inputs, observers: list[forms.Forms] | None = None) -> Outcome:
        outcome = self._session.concrete(inputs, observers or ())
        self.calls += outcome.steps
        return outcome

    def _keeps_rows(self, inputs: Inputs, batch: int | None) -> bool:
        """Whether one item more in the batch is one row more of the first output, whatever else grows with it."""
        tensors = values.all_tensors(inputs)
        sizes = list(values.sizes(inputs))
        if not tensors or not any(tensor.dims for tensor in tensors):
            return True
        first = next(tensor for tensor in tensors if tensor.dims)
        places = _places(inputs)
        output = search.first_tensor(self._run(inputs).output)
        if output is None or output.dim() == 0:
            return len(first.dims) > 1
        if self._session.real_only and self._hangs_on_values(inputs, output.shape[0]):
            return True
        longer = values.with_one_more(inputs)
        if longer is not None:
            # A list of samples is a batch itself.
            other = search.first_tensor(self._run(longer).output)
            if other is not None and other.dim() == output.dim() and other.shape[0] == output.shape[0] + 1:
                return True
        starts = [slot for slot, (_, axis) in enumerate(places) if axis == 0]
        ways = [[starts[0]], [slot for slot in starts if sizes[slot] == first.dims[0]]]
        if _is_square(inputs, first.dims[0]):
            ways.append([slot for slot, size in enumerate(sizes) if size == first.dims[0]])
        if batch is not None:
            ways.append([slot for slot in range(len(sizes)) if sizes[slot] == batch])
        for slots in ways:
            more = [size + 1 if slot in slots else size for slot, size in enumerate(sizes)]
            outputs = list(trees.tensors(self._run(values.with_sizes(inputs, more)).output))
            if not outputs or outputs[0].dim() != output.dim():
                continue
            grown = [after - before for before, after in zip(output.shape, outputs[0].shape)]
            if grown[0] == 1 or (batch is not None and 1 in grown):
                return True
            if batch is not None and grown[0] > 1 and slots == ways[-1] and self._keeps_state(inputs, outputs):
                return True
        return False

    def _keeps_state(self, inputs: Inputs, grown: list[torch.Tensor]) -> bool:
        """Whether what comes out besides has one item more too, as states have where the steps of all sequences are
        put into one column for a loss.
        """
        before = list(trees.tensors(self._run(inputs).output))
        return any(
            one.dim() == other.dim()
            and sorted(a - b for a, b in zip(other.shape, one.shape)) == [0] * (one.dim() - 1) + [1]
            for one, other in zip(before[1:], grown[1:])
        )

    def _hangs_on_values(self, inputs: Inputs, rows: int) -> bool:
        """Whether other values of the same sizes give other rows, so that rows say nothing of the batch."""
        for draw in values.draws(inputs, looked_at=True)[1:]:
            other = search.first_tensor(self._session.on_real(inputs, draw=draw).output)
            if other is not None and other.dim() and other.shape[0] != rows:
                return True
        return False

    def _stuck(self, inputs: Inputs) -> list[int]:
        """The places whose size cannot be another, alone or with those that have the same size and the same axis."""
        sizes, places = values.sizes(inputs), _places(inputs)
        given, tensors = values.owners(inputs), values.all_tensors(inputs)
        stuck = []
        for slot, size in enumerate(sizes):
            if given[places[slot][0]].given:
                continue
            alike = [at for at, (_, axis) in enumerate(places) if axis == places[slot][1] and sizes[at] == size]
            ways = [[slot], alike] if len(alike) > 1 else [[slot]]
            if _is_square(inputs, size):
                ways.append([at for at, other in enumerate(sizes) if other == size])
            # Of indices there may only be so many, as one for each of several tables, and fewer all the same.
            others = (size + 1, size * 2, *([size - 1] if "int" in tensors[places[slot][0]].dtype and size > 2 else []))
            if not any(self._moves(inputs, way, value) for way in ways for value in others):
                stuck.append(slot)
        return stuck

    def _moves(self, inputs: Inputs, slots: list[int], value: int) -> bool:
        sizes = [value if slot in slots else size for slot, size in enumerate(values.sizes(inputs))]
        return self._run(values.with_sizes(inputs, sizes)).ok

    def _asked(self, inputs: Inputs, stuck: list[int]) -> int:
        """Of the sizes that cannot be changed, those that `forward` asks for by their place."""
        owners, places = values.owners(inputs), _places(inputs)
        asked = 0
        for slot in stuck:
            index, axis = places[slot]
            hint = self._hints.get(owners[index].name)
            asked += hint is not None and axis in hint.asked
        return asked


def _is_square(inputs: Inputs, size: int) -> bool:
    """Whether one matrix of numbers has that size on both sides, as one of what is joined to what has, or an image with
    a class for each place. Indices alone may have equal sides by the way, and of several tensors of numbers that have
    them the one is spread over the other.
    """
    square = [tensor for tensor in values.all_tensors(inputs) if tensor.dims[-2:] == (size, size)]
    numbers = [tensor for tensor in square if "int" not in tensor.dtype]
    return len(numbers) == 1 and (len(numbers[0].dims) <= LARGEST_MATRIX or len(square) > 1)


def _places(inputs: Inputs) -> list[tuple[int, int]]:
    """For each size the index of its tensor and its axis there."""
    return [(at, axis) for at, tensor in enumerate(values.all_tensors(inputs)) for axis in range(len(tensor.dims))]


def _open(inputs: Inputs) -> list[int]:
    """The tensors of which the text and the workspace say no rank."""
    owners = values.owners(inputs)
    return [
        index
        for index, tensor in enumerate(values.all_tensors(inputs))
        if not owners[index].given
        and owners[index].source in ("solved", "annotation", "default")
        and not (tensor.axes and len(tensor.axes) == len(tensor.dims))
    ]


def _weakly_formed(found: search.Found) -> bool:
    """Whether a tensor whose rank is open goes to no layer that takes that rank alone."""
    wishes = found.outcome.wishes
    tensors = values.all_tensors(found.inputs)
    return any(
        index not in wishes or not wishes[index].firm or wishes[index].rank != len(tensors[index].dims)
        for index in _open(found.inputs)
    )


def _distance(found: search.Found, beyond: int = 0) -> int:
    """How far the ranks are from those that the first consumers document, each by what it is `beyond` so many dims."""
    wishes, tensors = found.outcome.wishes, values.all_tensors(found.inputs)
    return sum(
        # What is taken of a tensor says how many dims it has; a layer alone may get more than it documents.
        max(0, abs(len(tensor.dims) - (wishes[index].rank or 0)) - (0 if wishes[index].later is not None else beyond))
        for index, tensor in enumerate(tensors)
        if index in wishes and wishes[index].rank is not None
    )


def _uneven(found: search.Found, stuck: list[int]) -> int:
    """Pairs of neighbouring fixed sizes that differ although their product is a square, which nothing asks for."""
    sizes, places = values.sizes(found.inputs), _places(found.inputs)
    return sum(
        1
        for slot, after in zip(stuck, stuck[1:])
        if after == slot + 1
        and places[slot][0] == places[after][0]
        and places[slot][1] > 0
        and sizes[slot] != sizes[after]
        and min(sizes[slot], sizes[after]) > 1
        and math.isqrt(sizes[slot] * sizes[after]) ** 2 == sizes[slot] * sizes[after]
    )


def _alike(inputs: Inputs, opened: list[int]) -> Iterator[Inputs]:
    """Tensors that have as many elements as another one, in its form: what is reshaped to the same is passed alike."""
    tensors = values.all_tensors(inputs)
    for index in sorted(opened, key=lambda at: -len(tensors[at].dims)):
        dims = tensors[index].dims
        same = [at for at in opened if tensors[at].dims != dims and math.prod(tensors[at].dims) == math.prod(dims)]
        if same and len(dims) > LEAST_OF_ITEMS:
            sizes = [item.dims if at not in same else dims for at, item in enumerate(tensors)]
            yield values.map_tensors(inputs, functools.partial(_of_dims, sizes))


def _of_dims(every: list[tuple[int, ...]], index: int, guess: TensorGuess) -> TensorGuess:
    return guess if guess.dims == every[index] else replace(guess, dims=every[index], axes=())


def _others(session: Session, judged: _Judged) -> Iterator[Inputs]:
    """Inputs to try beside those of a find, the likeliest first."""
    inputs = judged.found.inputs
    if judged.doubts.rows:
        yield from _with_rows(session, judged.found)
    if judged.doubts.uneven:
        yield from _squared(inputs)
    opened = _open(inputs)
    tensors = values.all_tensors(inputs)
    if judged.doubts.is_grave:
        yield from _alike(inputs, opened)
    if len(opened) > 1:
        yield _as_wished(judged.found, opened)
    for rank in RANKS:
        if len(opened) > 1:
            yield _ranked(inputs, [index for index in opened if len(tensors[index].dims) != rank], rank)
    for ranks in BESIDE if len(opened) == 2 else ():
        yield _ranked(_ranked(inputs, opened[:1], ranks[0]), opened[1:], ranks[1])
    for rank in RANKS[::-1] if len(opened) > 2 else ():
        # What says something of the first, as the ends of a span do.
        yield _ranked(inputs, [index for index in opened[1:] if len(tensors[index].dims) != rank], rank)
    for index in opened:
        for rank in RANKS:
            if rank != len(tensors[index].dims):
                yield _ranked(inputs, [index], rank)


def _as_wished(found: search.Found, indices: list[int]) -> Inputs:
    """The tensors with as many dims as their first consumers document."""
    inputs = found.inputs
    wished: dict[int, list[int]] = {}
    for index, tensor in enumerate(values.all_tensors(inputs)):
        rank = found.outcome.wishes[index].rank if index in found.outcome.wishes else None
        if index in indices and rank is not None and rank != len(tensor.dims):
            wished.setdefault(rank, []).append(index)
    for rank, members in wished.items():
        inputs = _ranked(inputs, members, rank)
    return inputs


def _ranked(inputs: Inputs, indices: list[int], rank: int) -> Inputs:
    groups = values.groups(inputs)
    chosen = {member for index in indices for member in groups[index]}

    first = values.all_tensors(inputs)[0].dims
    beside = 0 not in chosen and len(first) > 1 and rank == 1
    dims = first[:1] if beside else default_sizes(rank)

    def change(index: int, guess: TensorGuess) -> values.Guess:
        return replace(guess, dims=dims, axes=()) if index in chosen else guess

    return values.map_tensors(inputs, change)


def _squared(inputs: Inputs) -> Iterator[Inputs]:
    """The inputs with two neighbouring sizes made equal, their product kept."""
    sizes, places = values.sizes(inputs), _places(inputs)
    for slot in range(len(sizes) - 1):
        root = math.isqrt(sizes[slot] * sizes[slot + 1])
        alike = places[slot][0] == places[slot + 1][0] and places[slot][1] > 0 and sizes[slot] != sizes[slot + 1]
        if alike and root * root == sizes[slot] * sizes[slot + 1]:
            yield values.with_sizes(inputs, [*sizes[:slot], root, root, *sizes[slot + 2 :]])


def _with_rows(session: Session, found: search.Found) -> Iterator[Inputs]:
    """Sizes for which the rows of the output are those of the first input.

    By how many rows there are for each item, where that is a whole number, and by the equation that torch states.
    """
    places = search.places(found.inputs)
    sizes = values.sizes(found.inputs)
    output = search.first_tensor(found.outcome.output)
    first = next(slot for slot, (_, axis) in enumerate(_places(found.inputs)) if axis == 0)
    if output is not None and output.dim() and output.shape[0] % sizes[first] == 0:
        times = int(output.shape[0]) // sizes[first]
        for group in places.spatial:
            fewer = [max(1, round(size / times ** (1 / len(group)))) for size in sizes]
            yield values.with_sizes(
                found.inputs, [fewer[slot] if slot in group else size for slot, size in enumerate(sizes)]
            )
    if session.real_only:
        return
    outcome = session.symbolic(found.inputs)
    output = search.first_tensor(outcome.output)
    if not outcome.ok or not isinstance(output, torch.Tensor) or not output.dim():
        return
    rows = outcome.size(output.shape[0])
    if isinstance(rows, int):
        return
    equation = sympy.Eq(rows, sympy.Symbol(f"s{first}", integer=True, positive=True))
    guard = symbolic.Guard(equation, False)
    for solved in solving.flips([guard], sizes, places)[:4]:
        yield values.with_sizes(found.inputs, solved)
