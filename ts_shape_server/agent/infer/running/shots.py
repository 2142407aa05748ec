"""What one run showed, as sizes in a fixed order: so that runs at other sizes can be laid side by side and spelled.

A symbolic run states most sizes itself. Where torch has fixed a symbol on the way (an operator that wants plain
numbers), runs at other sizes show that the size moves after all, and with what. Knows recordings, and nothing of how
sizes were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ts_shape_server.agent.infer.running.recording import LayerCall, Layers, Local, Locals, Shape, shapes
from ts_shape_server.agent.infer.running.session import Outcome

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Shot:
    """The layer calls, the locals in the order of their lines, the output of a run, and what its lines read. `output`
    nests as it was. `left_out` is how many submodules were called that `calls` has no room for.
    """

    calls: tuple[LayerCall, ...]
    locals: tuple[Local, ...]
    output: Any
    is_tuple: bool
    uses: tuple[Local, ...] = ()
    left_out: int = 0


def take(
    run: Callable[[Sequence[Any]], Outcome], module: nn.Module, path: str, lines: range
) -> tuple[Outcome, Shot | None]:
    """A run under observation; no shot if it failed. Sizes are what the outcome's `size` makes of them."""
    outcome, shot = until_failure(run, module, path, lines)
    return outcome, shot if outcome.ok else None


def until_failure(
    run: Callable[[Sequence[Any]], Outcome], module: nn.Module, path: str, lines: range
) -> tuple[Outcome, Shot]:
    """A run under observation, with what it showed until it ended or failed. The line that failed may be told to have
    left what it would assign as it came into it.
    """
    watched, followed = Layers(module, path, lines), Locals(path, lines)
    outcome = run([watched, followed])
    seen = shapes(outcome.output)
    ordered = sorted(followed.found.values(), key=lambda item: item.line)
    uses = sorted(followed.uses.values(), key=lambda item: (item.line, item.name))
    left_out = len(watched.left_out - {call.name for call in watched.calls})
    is_tuple = isinstance(outcome.output, tuple)
    shot = Shot(tuple(watched.calls), tuple(ordered), seen, is_tuple, tuple(uses), left_out)
    return outcome, respelled(shot, [outcome.size(size) for size in sizes_of(shot)])


def sections(shot: Shot) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """The sizes of the calls, of the locals, of the output and of what lines read, each in a fixed order."""
    return (
        [size for call in shot.calls for item in (*call.inputs, *call.outputs) for size in item.sizes],
        [size for item in shot.locals for size in _nested(item.value)],
        list(_nested(shot.output)),
        [size for item in shot.uses for size in _nested(item.value)],
    )


def sizes_of(shot: Shot) -> list[Any]:
    """All sizes of a shot, in the order of `sections`."""
    return [size for section in sections(shot) for size in section]


def respelled(shot: Shot, new: Sequence[Any]) -> Shot:
    """The shot with its sizes replaced, in the order of `sizes_of`."""
    remaining = iter(new)

    def shape(item: Shape) -> Shape:
        return Shape(tuple(next(remaining) for _ in item.sizes), item.dtype)

    def nested(value: Any) -> Any:
        if isinstance(value, Shape):
            return shape(value)
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], list):
            return value[0], [nested(item) for item in value[1]]
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
            return value[0], {key: nested(item) for key, item in value[1].items()}
        return value

    calls = tuple(
        replace(call, inputs=tuple(map(shape, call.inputs)), outputs=tuple(map(shape, call.outputs)))
        for call in shot.calls
    )
    found = tuple(replace(item, value=nested(item.value)) for item in shot.locals)
    output = nested(shot.output)
    uses = tuple(replace(item, value=nested(item.value)) for item in shot.uses)
    return replace(shot, calls=calls, locals=found, output=output, uses=uses)


def spelled(shot: Shot, others: Sequence[Shot], spell: Callable[[Any, Sequence[int]], Any]) -> Shot:
    """`shot` with each size told by `spell`, which gets it and what it was in `others` (nothing where they differ in
    form).
    """
    own = sections(shot)
    rows = [sections(other) for other in others]
    result: list[Any] = []
    for number, section in enumerate(own):
        aligned = all(len(row[number]) == len(section) for row in rows)
        for position, size in enumerate(section):
            result.append(spell(size, [row[number][position] for row in rows] if aligned else ()))
    return respelled(shot, result)


def _nested(value: Any) -> Iterator[Any]:
    if isinstance(value, Shape):
        yield from value.sizes
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], list):
        for item in value[1]:
            yield from _nested(item)
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        for item in value[1].values():
            yield from _nested(item)
