"""Which of torch's conditions a claim needs: sizes on their other side, as near as may be and far away, are tried.

A condition of a run is a requirement, the way that this run took where another leads as far, or a question of torch's
own. On its other side the module fails, or gives something else, or does the same. Only in the last case is the
condition nothing that a claim has to say: a claim is of the regime in which it was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ts_shape_server.agent.infer.claims.claim import Claim, Condition, Free, Sizes, with_value
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.running import expressions

FAR = (300, 1000, 4000)
CONSTANTS = 10_000
"""Numbers in conditions up to here are sizes at which something may change; larger ones are torch's own limits."""
POINTS = 5
"""So many sizes are tried on the other side of a condition."""
MOST = 40
"""So many conditions are looked at, the plainest first."""
EXTENDED = 4
"""So many sizes beyond a condition are looked at for the end of what does the same."""
PATHS = 3
"""So many other ways through the module are followed for the conditions that they state."""


@dataclass(frozen=True)
class Needed:
    """The conditions that have to hold, and the good sizes that go another way through the module than the base.

    Of `mixed` conditions some sizes on the other side do as the base does: that way may have conditions of its own.
    """

    conditions: tuple[Condition, ...]
    mixed: tuple[Condition, ...]
    others: tuple[Sizes, ...]


def needed(
    trials: Trials, free: Sequence[Free], conditions: Sequence[Condition], firm: Sequence[Condition] = ()
) -> Needed:
    """The conditions on whose other side something else happens, as far as the time allows to see. `firm` are known."""
    wide = Claim(trials.base, tuple(free), (), None)
    waiting = sorted(_distinct(conditions), key=plainness)[:MOST]
    sides = {
        id(item): [sizes for sizes in _other_side(trials.base, free, item) if wide.allows(sizes)] for item in waiting
    }
    waiting = [item for item in waiting if sides[id(item)]]
    kept, mixed = list(firm), []
    others: list[Sizes] = []
    for last in (False, True):
        for condition in tuple(waiting):
            rest = [item for item in waiting if item is not condition]
            points = [sizes for sizes in sides[id(condition)] if all(item.holds(sizes) for item in kept)]
            alone = [sizes for sizes in points if all(item.holds(sizes) for item in rest)]
            if _is_equation(condition) and any(runs_without(trials, condition, conditions)):
                # A number that torch has fixed on its way: what it stands for moves, in larger steps maybe.
                waiting.remove(condition)
                continue
            if not alone and points and not last:
                continue
            verdicts = [(sizes, _verdict(trials, sizes)) for sizes in (alone or points)[:POINTS]]
            same = [sizes for sizes, same in verdicts if same]
            if any(ran is False for _, ran in verdicts) and not (same and _is_equation(condition)):
                kept.append(condition)
                mixed += [condition] if same else []
                others += same[:1]
            elif _compares(condition, free):
                others += same[:1]
            waiting.remove(condition)
    return Needed(tuple(kept[len(firm) :]), tuple(mixed), tuple(dict.fromkeys(others)))


def _compares(condition: Condition, free: Sequence[Free]) -> bool:
    """Whether a condition asks which of two free dims is larger, as `max` does: what follows is asked of that one."""
    sides = getattr(condition.expression, "args", ())
    ordered = type(condition.expression).__name__ in ("StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan")
    groups = [[item for item in free if set(item.members) & _slots(side)] for side in sides]
    return ordered and len(groups) == 2 and all(groups) and groups[0] != groups[1]


def _slots(expression: object) -> set[int]:
    return {int(name[1:]) for name in expressions.symbol_names(expression)}


def _is_equation(condition: Condition) -> bool:
    return type(condition.expression).__name__ == "Equality"


def runs_without(trials: Trials, condition: Condition, all_of: Sequence[Condition] = ()) -> Iterator[bool]:
    """For each good run, whether the condition does not hold there although what differs at the base does.

    An equation between two sides does not hold where the one is spread over the other, and says all the same what the
    sides are where neither is one.
    """
    several = len(condition.slots) > 1
    apart = [item for item in all_of if several and type(item.expression).__name__ == "Unequality"]
    return (
        ran and not condition.holds(sizes) and all(item.holds(sizes) for item in apart)
        for sizes, ran in trials.known.items()
    )


def _verdict(trials: Trials, sizes: Sizes) -> bool | None:
    """Whether the module does at these sizes what it does at the base; None where that was not seen."""
    ran = trials.good(sizes)
    return ran and trials.as_stated(sizes) if sizes in trials.known else None


def followed(trials: Trials, others: Sequence[Sizes], known: Sequence[Condition]) -> list[Condition]:
    """What other ways through the module ask, so far as it holds at the base and was not asked on the first."""
    seen = {str(item.expression) for item in known}
    found: list[Condition] = []
    for sizes in others[:PATHS]:
        for condition in trials.asked(sizes):
            if str(condition.expression) not in seen and condition.holds(trials.base):
                seen.add(str(condition.expression))
                found.append(condition)
    return found


def as_ranges(trials: Trials, free: Sequence[Free], kept: Sequence[Condition]) -> tuple[list[Free], list[Condition]]:
    """Conditions on one dim that cut it at one place as its largest or smallest size; the others stay conditions."""
    result, rest = list(free), []
    for condition in kept:
        groups = [number for number, item in enumerate(result) if set(item.members) & set(condition.slots)]
        cut = _cut(trials.base, result[groups[0]], condition) if len(groups) == 1 else None
        if cut is None:
            rest.append(condition)
        else:
            result[groups[0]] = _extended(trials, result, cut)
    return result, rest


def _extended(trials: Trials, free: Sequence[Free], item: Free) -> Free:
    """A dim that a condition cuts, up to where it does the same beyond the cut, beside the smallest of others too."""
    smallest = trials.base
    for other in free:
        smallest = with_value(smallest, other.members, other.minimum)
    for _ in range(EXTENDED):
        value = item.maximum + item.multiple_of if item.maximum is not None else 0
        places = [with_value(sizes, item.members, value) for sizes in (trials.base, smallest)]
        if not value or not all(_verdict(trials, sizes) for sizes in places):
            break
        item = replace(item, maximum=value)
    return item


def plainness(condition: Condition) -> tuple[int, int, int]:
    """Orders conditions: equations first, and short ones."""
    kind = {"Equality": 0, "Unequality": 2}.get(type(condition.expression).__name__, 1)
    text = str(condition.expression)
    return kind, text.count("Mod"), len(text)


def _distinct(conditions: Sequence[Condition]) -> list[Condition]:
    return list({str(item.expression): item for item in conditions}.values())


def _cut(base: Sizes, item: Free, condition: Condition) -> Free | None:
    """`item` with the range in which the condition holds; None where that is no range, or more than one."""
    start = base[item.members[0]]
    values = [value for value in _ladder(base, item, [condition]) if item.has(value)]
    holding = [condition.holds(with_value(base, item.members, value)) for value in values]
    if all(holding) or True not in holding:
        return None
    first, last = holding.index(True), len(holding) - 1 - holding[::-1].index(True)
    if not all(holding[first : last + 1]) or condition.slots == ():
        return None
    changed = item
    if last < len(values) - 1:
        changed = replace(changed, maximum=_flip(base, item, condition, values[last], values[last + 1])[0])
    if first > 0:
        changed = replace(changed, minimum=_flip(base, item, condition, values[first], values[first - 1])[0])
    return changed if changed.has(start) else None


def _flip(base: Sizes, item: Free, condition: Condition, holds: int, fails: int) -> tuple[int, int]:
    """The neighbouring values between which the condition changes."""
    while abs(holds - fails) > item.multiple_of:
        middle = item.aligned((holds + fails) // 2)
        if middle in (holds, fails):
            middle += item.multiple_of
            if middle in (holds, fails):
                break
        if condition.holds(with_value(base, item.members, middle)):
            holds = middle
        else:
            fails = middle
    return holds, fails


def _ladder(base: Sizes, item: Free, conditions: Sequence[Condition]) -> list[int]:
    """Sizes of a dim at which conditions may change, the smallest first."""
    start, step = base[item.members[0]], item.multiple_of
    values = {item.minimum, item.minimum + step, start - step, start + step, 2 * start, start, *FAR}
    for condition in conditions:
        for number in expressions.numbers(condition.expression):
            if 0 < number <= CONSTANTS:
                values |= {number - 1, number, number + 1, 2 * number, number + step, number - step}
    if item.maximum is not None:
        values |= {item.maximum, item.maximum - step}
    return sorted({item.aligned(value) for value in values if item.has(item.aligned(value))})


def _other_side(base: Sizes, free: Sequence[Free], condition: Condition) -> list[Sizes]:
    """Sizes at which the condition does not hold: just beyond it, one and two steps more, and far."""
    groups = [item for item in free if set(item.members) & set(condition.slots)]
    near: list[Sizes] = []
    far: list[Sizes] = []
    for context in _contexts(base, groups):
        for item in groups:
            ladder = _ladder(base, item, [condition])
            holding = [condition.holds(with_value(context, item.members, value)) for value in ladder]
            for number in range(len(ladder) - 1):
                if holding[number] != holding[number + 1]:
                    inside, outside = ladder[number], ladder[number + 1]
                    if not holding[number]:
                        inside, outside = outside, inside
                    _, beyond = _flip(context, item, condition, inside, outside)
                    step = item.multiple_of if beyond > inside else -item.multiple_of
                    values = (beyond, beyond + step, beyond + 2 * step)
                    near += [with_value(context, item.members, value) for value in values if item.has(value)]
            outside_values = [value for value, holds in zip(ladder, holding) if not holds]
            far += [with_value(context, item.members, value) for value in outside_values[-1:]]
    far = [sizes for sizes in dict.fromkeys(far) if sizes not in near]
    near = list(dict.fromkeys(near))
    found = [*near[: POINTS - 2], *far[:2], *near[POINTS - 2 :], *far[2:]]
    return [sizes for sizes in found if not condition.holds(sizes)]


def _contexts(base: Sizes, groups: Sequence[Free]) -> Iterator[Sizes]:
    """What the other dims of a condition are while one is moved: as they were, as small as may be, larger."""
    yield base
    if len(groups) < 2:
        return
    for choice in ("least", "more"):
        sizes = base
        for item in groups:
            value = item.minimum if choice == "least" else item.aligned(3 * base[item.members[0]])
            sizes = with_value(sizes, item.members, value if item.has(value) else base[item.members[0]])
        yield sizes
