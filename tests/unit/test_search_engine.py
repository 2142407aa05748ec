"""The search itself, on numbers: what is run when, how it ends, and what its trail tells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ts_shape_server.agent.infer.engine import ASIDE, Budget, Exit, Later, Proposal, Ran, Result, Search, Trail

FAR = 1e9


class Numbers:
    """Looks for `wanted` from 0 on by adding one, or by doubling; a run comes as far as its number is large."""

    def __init__(self, wanted: int, patience: int = 100) -> None:
        self.wanted, self.budget = wanted, Budget(FAR, 100, patience)
        self.seen: list[int] = []

    def run(self, state: int, number: int) -> Ran[int]:
        self.seen.append(state)
        if state == self.wanted:
            return Ran(state, find=state)
        return Ran(self.progress(state), f"it is {state}")

    def progress(self, state: int) -> int:
        return state

    def came_furthest(self, state: int) -> None:
        self.furthest = state

    def proposals(self, state: int) -> Iterator[Proposal[int] | Later[int]]:
        yield Proposal("add", 1, state + 1)
        yield Proposal("double", 2, state * 2)


def found(
    problem: Numbers, runs: int = 100, trail: Trail | None = None, alike: int = 1 << 30, finds: int = 1
) -> Result[int, int]:
    problem.budget.runs, problem.budget.alike = runs, alike
    search: Search[int, int] = Search(problem, trail, finds)
    search.start([(0, 1)])
    return search.run()


def test_what_came_furthest_is_gone_on_with_by_the_priorities_of_moves() -> None:
    problem = Numbers(4)
    result = found(problem)
    assert result.exit is Exit.FOUND and result.finds == (4,)
    assert problem.seen == [1, 2, 3, 4]


def test_a_trail_tells_what_led_to_the_find() -> None:
    trail = Trail()
    found(Numbers(3), trail=trail)
    assert trail.moves["add"].led == 2
    assert trail.moves["double"].led == 0
    assert trail.moves["double"].proposed == 2
    assert trail.moves["start"].ran == 1
    assert trail.exits == {"found": 1}


def test_a_dear_move_is_asked_when_its_turn_comes() -> None:
    asked: list[int] = []

    class Dear(Numbers):
        def proposals(self, state: int) -> Iterator[Proposal[int] | Later[int]]:
            yield Later("equation", 3, lambda: self.ask(state))
            yield Proposal("add", 1, -state)

        def ask(self, state: int) -> Iterator[Proposal[int]]:
            asked.append(state)
            yield Proposal("equation", 0, self.wanted)

    assert found(Dear(7), runs=1).exit is Exit.RUNS
    assert asked == []
    problem = Dear(7)
    assert found(problem).finds == (7,)
    assert (problem.seen, asked) == ([1, -1, 7], [1])


@pytest.mark.parametrize(
    ("problem", "runs", "alike", "exit"),
    [
        (Numbers(-1), 5, 1 << 30, Exit.RUNS),
        (type("Dull", (Numbers,), {"progress": lambda self, state: 1})(-1, patience=7), 100, 1 << 30, Exit.STALE),
        (type("Deaf", (Numbers,), {"run": lambda self, state, number: Ran(1, "no")})(-1), 100, 6, Exit.ALIKE),
        (
            type("Lost", (Numbers,), {"run": lambda self, state, number: Ran(1, "no", hopeless=True)})(-1),
            9,
            9,
            Exit.HOPELESS,
        ),
        (type("Done", (Numbers,), {"proposals": lambda self, state: ()})(-1), 9, 9, Exit.EMPTY),
    ],
)
def test_how_a_search_ends(problem: Numbers, runs: int, alike: int, exit: Exit) -> None:
    result = found(problem, runs, alike=alike)
    assert result.exit is exit
    assert result.finds == () and result.best is not None


def test_a_search_ends_when_its_work_is_done() -> None:
    problem = Numbers(-1)
    problem.budget.deadline = 0.0
    assert found(problem).exit is Exit.WORK


class Kept(Numbers):
    """The first state runs, but another may be better."""

    def run(self, state: int, number: int) -> Ran[int]:
        self.seen.append(state)
        if state == 1:
            return Ran(1, find=1, settled=False, grace=3)
        return Ran(state, find=state) if state == self.wanted else Ran(state, f"it is {state}")


def test_a_find_that_is_not_settled_gives_way_to_one_that_is() -> None:
    assert found(Kept(3)).finds == (3, 1)


def test_a_find_that_is_not_settled_is_taken_when_its_grace_is_over() -> None:
    problem = Kept(50)
    result = found(problem)
    assert result.finds == (1,) and result.exit is Exit.FOUND
    assert len(problem.seen) == 4


def test_several_finds_are_collected_where_that_is_asked() -> None:
    class Even(Numbers):
        def run(self, state: int, number: int) -> Ran[int]:
            return Ran(state, f"it is {state}") if state % 2 else Ran(state, find=state)

        def proposals(self, state: int) -> Iterator[Proposal[int] | Later[int]]:
            yield Proposal("add", 1, state + 1)
            yield Proposal("add", 2, state + 3)

    assert found(Even(0), finds=2).finds == (2, 4)


def test_what_was_put_aside_has_its_turn() -> None:
    class Two(Numbers):
        def proposals(self, state: int) -> Iterator[Proposal[int] | Later[int]]:
            if state == 1:
                yield Proposal("small", 9, -1, progress=-5, aside=True)
            yield Proposal("add", 1, state + 1)

    problem = Two(100)
    found(problem, runs=6)
    assert problem.seen[ASIDE - 1] == -1
