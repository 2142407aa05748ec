"""How small and how large a free dim may be: proposed by torch's conditions, decided by runs, else found by halving.

Knows nothing of how dims are found to be free, and nothing of names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ts_shape_server.agent import shares
from ts_shape_server.agent.infer.claims.claim import Condition, Free, Sizes, with_value
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.running import expressions

LARGE = (256, 2048)
_INDEX_LIMIT = (1 << 31) - 1
HALVINGS = 12
"""Enough to find a boundary below the larger of `LARGE`."""
ASKED = 6
"""So often is a failing run asked for its reason on the way to one boundary."""
LOOKED_BACK = 12
"""So many of the questions before a failure may be its reason."""


def seen(trials: Trials, members: tuple[int, ...], step: int, remainder: int = 0) -> Free:
    """The values of the places that ran, all others as in the base."""
    others = [slot for slot in range(len(trials.base)) if slot not in members]
    ran = [
        sizes[members[0]]
        for sizes, good in trials.known.items()
        if good
        and all(sizes[slot] == trials.base[slot] for slot in others)
        and len({sizes[slot] for slot in members}) == 1
        and sizes[members[0]] % step == remainder
    ]
    start = trials.base[members[0]]
    return Free(members, min([start, *ran]), max([start, *ran]), step, remainder)


@dataclass(frozen=True)
class Surroundings:
    """The other free dims, and the conditions that hang on more than one of them, equations left out.

    Where such a condition forbids a size beside the others' base sizes, it may run beside smaller or larger ones: then
    the condition is what limits it, and no limit of its own.
    """

    free: tuple[Free, ...] = ()
    joint: tuple[Condition, ...] = ()
    equations: tuple[Condition, ...] = ()

    @staticmethod
    def of(free: Sequence[Free], conditions: Sequence[Condition]) -> Surroundings:
        joint = [item for item in conditions if sum(bool(set(item.slots) & set(dim.members)) for dim in free) > 1]
        equations = [item for item in joint if type(item.expression).__name__ == "Equality"]
        return Surroundings(tuple(free), tuple(item for item in joint if item not in equations), tuple(equations))

    def at(self, trials: Trials, item: Free, value: int) -> Sizes | None:
        """Sizes with this value at which the joint conditions hold; None where there are none near."""
        sizes = trials.moved(item.members, value)
        if self._hold(sizes):
            return sizes
        asked = [condition for condition in self.joint if set(condition.slots) & set(item.members)]
        beside = {slot for condition in asked if not condition.holds(sizes) for slot in condition.slots}
        others = [other for other in self.free if not set(other.members) & set(item.members)]
        for chosen in ([other for other in others if beside.intersection(other.members)], others):
            smaller = larger = sizes
            for other in chosen:
                smaller = with_value(smaller, other.members, other.minimum)
                more = other.aligned(4 * max(value, trials.base[other.members[0]]))
                larger = with_value(larger, other.members, more)
            found = next((sizes for sizes in (smaller, larger) if self._hold(sizes)), None)
            if found is not None:
                return found
        return None

    def along(self, trials: Trials, item: Free, value: int) -> Sizes | None:
        """Sizes with this value, and with the dims that an equation binds to it in proportion: the other side of an
        image that has to be square. None where the equations do not hold there, or bind nothing to it.
        """
        bound = {
            slot for equation in self.equations if set(equation.slots) & set(item.members) for slot in equation.slots
        }
        sizes, start = trials.moved(item.members, value), trials.base[item.members[0]]
        for other in self.free:
            if bound.intersection(other.members) and not set(other.members) & set(item.members):
                own = trials.base[other.members[0]]
                sizes = with_value(sizes, other.members, max(1, other.aligned(own * value // start)))
        return sizes if bound and all(equation.holds(sizes) for equation in self.equations) else None

    def _hold(self, sizes: Sizes) -> bool:
        return all(condition.holds(sizes) for condition in self.joint)


def downward(
    trials: Trials,
    item: Free,
    conditions: Sequence[Condition],
    likely: Sequence[int] = (),
    around: Surroundings = Surroundings(),  # frozen and empty
) -> Free:
    """The smallest value that runs, if those that run are an interval in steps: one step first, then by halving.

    `likely` are tried before: what other dims have, since the sides of an image mostly have the same.
    """
    step = item.multiple_of
    low, high = item.remainder or step, item.minimum
    together = [around.along(trials, item, value) for value in (low, item.aligned((low + high) // 2))]
    """What the conditions forbid beside the others' base sizes is no limit of a dim that moves along with them."""

    def good(value: int) -> bool:
        sizes, beside = around.at(trials, item, value), around.along(trials, item, value)
        # A condition that torch states of the found sizes, as that there is more than one item, need not be asked.
        alone = any(trials.good(each) for each in (sizes, trials.moved(item.members, value)) if each is not None)
        return alone or (beside is not None and trials.good(beside))

    if low >= high:
        return replace(item, minimum=high)
    middle = item.aligned((low + high) // 2)
    if good(low) and (low > 1 or middle in (low, high) or good(middle)):
        # A size of one may be no more than spread over what it meets: then those between fail.
        return replace(item, minimum=low)
    for value in likely:
        between = low < value < high and value % step == item.remainder
        if between and good(value) and not good(value - step):
            return replace(item, minimum=value)
    proposed = _last_allowed(trials, item, conditions, high, low) if not any(together) else None
    if proposed is not None:
        return replace(item, minimum=proposed)
    return replace(item, minimum=_boundary(trials, item, high, low, around)[0])


def _boundary(
    trials: Trials,
    item: Free,
    runs: int,
    fails: int,
    around: Surroundings = Surroundings(),  # as above
) -> tuple[int, int]:
    """The last value that runs on the way from one that does to one that does not, and the next that does not, as near
    to each other as time allows to see.
    """
    step = item.multiple_of
    halvings = math.log2(max(1, abs(runs - fails) // step))
    if halvings * trials.cost_of_good > shares.HALVING.of(trials.left()):
        runs, fails = _narrowed(trials, item, runs, fails)
    # A search that is cut short would state a limit that nobody has met.
    trials.put_off(HALVINGS + 1)
    for _ in range(HALVINGS):
        middle = item.aligned((runs + fails) // 2)
        if abs(runs - fails) <= step or middle in (runs, fails):
            break
        beside = around.along(trials, item, middle)
        places = [around.at(trials, item, middle) or trials.moved(item.members, middle)]
        places += [beside] if beside is not None else []
        if any(trials.good(sizes) for sizes in places):
            runs = middle
        elif all(sizes in trials.known for sizes in places):
            fails = middle
        else:
            break
    return runs, fails


def _narrowed(trials: Trials, item: Free, runs: int, fails: int) -> tuple[int, int]:
    """`runs` and `fails` brought nearer to each other by what torch asks before it fails.

    A failing run ends early, and its last questions come out the other way where the values begin that run. It takes
    a few runs where halving takes many, of which half are whole.
    """
    step = item.multiple_of if runs > fails else -item.multiple_of
    for _ in range(ASKED):
        if abs(runs - fails) <= abs(step):
            break
        before = runs, fails
        for value in _turns(trials, item, range(fails + step, runs, step)):
            if trials.good(trials.moved(item.members, value)):
                runs = value
                if trials.fails(trials.moved(item.members, value - step)):
                    fails = value - step
                break
            if trials.fails(trials.moved(item.members, value)):
                fails = value
                break
        if (runs, fails) == before:
            break
    return runs, fails


def _turns(trials: Trials, item: Free, between: range) -> list[int]:
    """Where the last questions that were asked just before `between` come out the other way, the last one's first."""
    asked = trials.questions(trials.moved(item.members, between.start - between.step))
    found: list[int] = []
    for condition in asked[: -LOOKED_BACK - 1 : -1]:
        places = [value for value in between if not condition.holds(trials.moved(item.members, value))]
        found += places[:1]
    return list(dict.fromkeys(found))


def _last_allowed(trials: Trials, item: Free, conditions: Sequence[Condition], start: int, end: int) -> int | None:
    """The last value that the conditions allow between `start` and `end`, if they forbid all others and runs agree."""
    step = item.multiple_of if end > start else -item.multiple_of
    allowed = [
        all(condition.holds(trials.moved(item.members, value)) for condition in conditions)
        for value in range(start, end, step)
    ]
    if all(allowed) or True in allowed[allowed.index(False) :]:
        return None
    forbidden = start + step * allowed.index(False)
    # A condition may be no more than a number that torch has fixed on its way: larger steps would show it.
    beyond = [forbidden + step * count for count in range(4)] + [forbidden * 2 if step > 0 else forbidden // 2]
    if not all(trials.fails(trials.moved(item.members, value)) for value in beyond if value > 0):
        return None
    return forbidden - step if trials.good(trials.moved(item.members, forbidden - step)) else None


def largest_together(trials: Trials, free: Sequence[Free]) -> int:
    """How many of the steps of `LARGE` all free dims take at once: one run then stands for one of each."""
    if trials.session.real_only or len(free) < 2:
        return 0
    for count in range(len(LARGE), 0, -1):
        sizes = trials.base
        for item in free:
            sizes = with_value(sizes, item.members, _large(item)[count - 1])
        if trials.good(sizes):
            return count
    return 0


def _large(item: Free) -> list[int]:
    """Values that only a bound would refuse."""
    return [item.aligned(max(value, 2 * (item.maximum or item.minimum))) for value in LARGE]


def upward(
    trials: Trials,
    item: Free,
    conditions: Sequence[Condition],
    together: int,
    around: Surroundings = Surroundings(),  # frozen and empty
) -> Free:
    """The largest value that runs; none where torch's own conditions, or a run, allow a large one.

    `together`: so many large values were taken by all free dims at once. A search that time ends knows no limit.
    """
    start = item.maximum or item.minimum
    large = _large(item)
    if together == len(large) or (together and trials.left() <= 0):
        return replace(item, maximum=None)
    # Where 32-bit indices do not suffice, torch takes another way and does not refuse.
    stated = [item for item in conditions if expressions.largest_number(item.expression) < _INDEX_LIMIT]
    places = [around.at(trials, item, value) for value in large]
    if stated and all(sizes and condition.holds(sizes) for condition in stated for sizes in places):
        return replace(item, maximum=None)
    proposed = _last_allowed(trials, item, stated, start, large[0])
    if proposed is not None:
        return replace(item, maximum=proposed)
    low = start
    for number, (value, sizes) in enumerate(zip(large, places)):
        if sizes is None:
            # What forbids it is a condition, and is told as that if it is one of the module's.
            return replace(item, maximum=None)
        if number < together or trials.good(sizes):
            low = value
            continue
        if sizes not in trials.known:
            return replace(item, maximum=None)
        return replace(item, maximum=_boundary(trials, item, low, value, around)[0])
    return replace(item, maximum=None)
