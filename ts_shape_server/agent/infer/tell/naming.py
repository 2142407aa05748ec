"""Names for free dims: what the author wrote first, then the letters of the field.

An axis that `forward` unpacks (``b, t, d = x.shape``) or an annotation names keeps that name; else rank and consumer
decide between ``B, C, H, W``, ``B, C, L`` and ``B, L``. Pure.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ts_shape_server.agent.infer.claims import optional
from ts_shape_server.agent.infer.claims.claim import Claim
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running.spy import Wish

_BY_RANK: Mapping[int, tuple[str, ...]] = {
    1: ("L",),
    2: ("B", "F"),
    3: ("B", "L", "D"),
    4: ("B", "C", "H", "W"),
    5: ("B", "C", "T", "H", "W"),
}
_CHANNELS_FIRST = ("B", "C", "L")
_OF_HEADS = ("B", "H", "L", "D")
_ATTENDED = re.compile(r"(q|k|v|query|key|value|queries|keys|values)(_(states|layer))?")
"""What attention calls what it compares; with four axes they are of several heads."""
_IGNORED = frozenset({"_", "__", "self"})


def conventional(
    tensor: values.TensorGuess, wish: Wish | None, in_list: bool, batch: int | None = None, name: str = ""
) -> tuple[str, ...]:
    """The letters for the axes of a tensor nobody has named. `batch` is the axis that layers take for the batch,
    `name` what its parameter is called.
    """
    rank = len(tensor.dims)
    if rank == 4 and _ATTENDED.fullmatch(name.lower()) and (wish is None or "2d" not in wish.consumer):
        return _OF_HEADS
    if batch == 0 and rank == 1:
        return ("B",)
    if batch == 1 and rank in (2, 3):
        return ("L", "B", "D")[:rank]
    if rank == 2 and "int" in tensor.dtype:
        return ("B", "L")
    if rank == 2 and in_list:
        return ("L", "D")
    if rank == 3 and wish is not None and "1d" in wish.consumer:
        return _CHANNELS_FIRST
    return _BY_RANK.get(rank, tuple(f"D{axis}" for axis in range(rank)))


def name_places(
    inputs: values.Inputs,
    claim: Claim,
    wishes: Mapping[int, Wish],
    axes: Mapping[str, Sequence[str | None]],
    batch_axes: Sequence[int | None] = (),
) -> dict[int, str]:
    """A name for each free place in the sizes; places that move together share one.

    `axes` is by parameter, `batch_axes` by tensor.
    """
    wanted: dict[int, tuple[str, bool]] = {}
    limited = {member for free in claim.free for member in free.members if free.maximum is not None}
    """Places of which there may only be so many, as there may be of the items of a sequence and not of a batch."""
    slot = index = 0
    for item in inputs:
        in_list = isinstance(item.guess, values.SequenceGuess) and item.guess.kind == "list"
        for tensor in values.tensors(item.guess):
            batch = batch_axes[index] if index < len(batch_axes) else None
            if batch is None and slot in limited and len(tensor.dims) == 3:
                batch = 1
            letters = conventional(tensor, wishes.get(index), in_list, batch, item.name)
            written = list(tensor.axes) or ([] if in_list else list(axes.get(item.name, ())))
            if len(written) > len(tensor.dims):
                written = []
            for axis in range(len(tensor.dims)):
                author = written[axis] if axis < len(written) else None
                # One that begins with an underscore ties sizes to each other, and is no name for them.
                own = author is not None and author not in _IGNORED and author[:1] != "_" and _is_name(author)
                wanted[slot] = (str(author) if own else letters[axis], own)
                slot += 1
            index += 1
    names: dict[int, str] = {}
    used: set[str] = set()
    twins = _twins(inputs, claim)
    for free in claim.free:
        twin = next((twins[member] for member in free.members if twins.get(member) in names), None)
        if twin is not None:
            names.update(dict.fromkeys(free.members, names[twin]))
            continue
        candidates = sorted((wanted[member] for member in free.members), key=lambda pair: not pair[1])
        letter, own = candidates[0]
        nodes = not own and letter == "B" and _is_square(inputs, free.members)
        name = _unused("N" if nodes else letter, used)
        used.add(name)
        names.update(dict.fromkeys(free.members, name))
    return names


def _is_square(inputs: values.Inputs, members: Sequence[int]) -> bool:
    """Whether the first dim of a tensor is one size with both sides of a matrix, as of what is joined to what: there
    is no batch.
    """
    slot, squares = 0, False
    for tensor in values.all_tensors(inputs):
        squares = squares or (len(tensor.dims) == 2 and slot in members and slot + 1 in members)
        slot += len(tensor.dims)
    return squares and 0 in members


def _is_name(text: str) -> bool:
    """Whether a size can be called so: in a comment an axis may be called ``2*d`` or ``lambda`` too."""
    return text.isidentifier() and not keyword.iskeyword(text)


def name_free(taken: Mapping[str, optional.Taken], used: Iterable[str]) -> dict[tuple[str, int], str]:
    """A name for each free dim of the parameters that may be left out, by parameter and axis; none is `used`."""
    names: dict[tuple[str, int], str] = {}
    for name, item in taken.items():
        letters = conventional(replace(item.guess, dims=tuple(dim.size for dim in item.dims)), None, False)
        for axis, dim in enumerate(item.dims):
            if dim.free:
                others = {*used, *names.values()}
                written = item.guess.axes[axis] if axis < len(item.guess.axes) else None
                letter = written if written is not None and _is_name(written) else letters[axis]
                spelled = (f"{letter}{count if count > 1 else ''}" for count in range(1, 100))
                names[name, axis] = next(one for one in spelled if one not in others)
    return names


def varying(inputs: values.Inputs, claim: Claim, names: Mapping[int, str]) -> frozenset[str]:
    """The names of dims that may differ from item to item of a list."""
    twins = _twins(inputs, claim)
    return frozenset(
        names[free.members[0]]
        for free in claim.free
        if any(member in twins and twins[member] not in free.members for member in free.members)
    )


def _twins(inputs: values.Inputs, claim: Claim) -> dict[int, int]:
    """For each place in a later item of a list of like tensors, the same place in the first item. Tensors whose fixed
    sizes differ, as the channels of several levels do, are not alike: each has sizes of its own.
    """
    free = {member for item in claim.free for member in item.members}
    starts: list[int] = []
    offset = 0
    tensors = values.all_tensors(inputs)
    for tensor in tensors:
        starts.append(offset)
        offset += len(tensor.dims)
    twins: dict[int, int] = {}
    fixed = [
        tuple(None if start + axis in free else size for axis, size in enumerate(tensor.dims))
        for start, tensor in zip(starts, tensors)
    ]
    for index, group in enumerate(values.groups(inputs)):
        alike = len({fixed[member] for member in group}) == 1
        if alike and group[0] != index and len(tensors[group[0]].dims) == len(tensors[index].dims):
            twins.update({starts[index] + axis: starts[group[0]] + axis for axis in range(len(tensors[index].dims))})
    return twins


def _unused(name: str, used: set[str]) -> str:
    if name not in used:
        return name
    return next(f"{name}{number}" for number in range(2, 1000) if f"{name}{number}" not in used)
