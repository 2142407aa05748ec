"""Every reason why `torch.jit.script` refuses a module: compile, note the refusal, take it out of the way, compile on.

It decides what counts as a reason of its own and what merely follows from an edit. What torch's words mean is in
`words` and `refusals`, which edit to try in `neutralise`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from ts_shape_server.agent import clock
from ts_shape_server.agent.script import edits, locate, neutralise, refusals, unplaced, words
from ts_shape_server.agent.script.compiler import Compiler
from ts_shape_server.agent.script.finding import finding
from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch, take_apart
from ts_shape_server.agent.script.refusals.refusal import Told
from ts_shape_server.agent.script.sources import Edit, key_of
from ts_shape_server.agent.torch_says import compiler as torch_says_compiler
from ts_shape_server.contract.report import Failure

LIMIT = 25
"""Of reasons of one module."""
ATTEMPTS = 150
"""Of compilations of one module."""


@dataclass
class Reasons:
    """The failures so far by what makes them one."""

    found: dict[Any, Failure] = field(default_factory=dict)

    def add(self, problem: CompilerProblem, told: Told) -> None:
        place = told.place or problem.place
        key = (told.cause, None if told.cause else place)
        location = None if place is None else locate.location(place)
        if key in self.found:
            first = self.found[key]
            known = [item.range for item in (first.location, *first.related) if item is not None]
            if location is not None and location.range not in known:
                again = replace(location, message="the same here")
                self.found[key] = replace(first, related=(*first.related, again))
            return
        related = [locate.location(item, item.caption or "reached from here") for item in problem.chain]
        places = [*(locate.location(item, item.caption) for item in told.related), *related]
        self.found[key] = finding("script-error", told.kind, told.message, location, problem.text, places, told.facts)


def collect(compiler: Compiler, search: RefusalSearch, remaining: Callable[[], float]) -> tuple[bool, list[Failure]]:
    """Whether the module scripts as it stands, and all the reasons why not, in the order torch met them."""
    reasons = Reasons()
    error = compiler()
    first = error
    while error is not None and len(reasons.found) < LIMIT and compiler.attempts < ATTEMPTS:
        problem = take_apart(error, search)
        follows = _follows(problem, search) or _is_of_our_making(error, problem, search)
        started = clock.now()
        if problem.place is None:
            problem = unplaced.place(problem, compiler.module, search)
        if refusals.mended(problem, compiler.module, search):
            error, repaired = compiler(), None
        else:
            error, repaired = _get_past(problem, compiler, search, remaining)
        if not follows:
            names, owner = (repaired.repairs, repaired.function) if repaired is not None else ((), None)
            reasons.add(problem, words.tell(problem, search, names, owner))
        if error is None or not _is_gone(problem, error, search) or remaining() < 2 * (clock.now() - started):
            break
    return first is None, list(reasons.found.values())


def _is_gone(problem: CompilerProblem, error: BaseException | None, search: RefusalSearch) -> bool:
    """Whether an error of the compiler, None where it compiled, is another one than the problem."""
    return error is None or take_apart(error, search).signature != problem.signature


def _get_past(
    problem: CompilerProblem, compiler: Compiler, search: RefusalSearch, remaining: Callable[[], float]
) -> tuple[BaseException | None, Neutralisation | None]:
    """Try edits until the problem is gone: the next error (None: it compiles), and the edit if it was a repair.

    The error of the problem itself comes back if nothing helps.
    """
    error: BaseException | None = None
    tries = neutralise.candidates(problem, search)
    if not problem.located.places:
        tries = chain(unplaced.repairs(search), tries)
    for candidate in tries:
        if compiler.attempts >= ATTEMPTS or remaining() <= 0:
            break
        made = search.sources.edits.setdefault(candidate.function.key, [])
        before: list[Edit] = list(made)
        made.extend(candidate.edits)
        error = compiler(problem.module)
        if _is_gone(problem, error, search):
            for narrower in candidate.narrower:
                made[:] = [*before, *narrower.edits]
                attempt = compiler(problem.module)
                if _is_gone(problem, attempt, search):
                    candidate, error = narrower, attempt
                    break
            else:
                made[:] = [*before, *candidate.edits]
            search.lost.setdefault(candidate.function.key, set()).update(candidate.lost)
            if problem.function is not None and problem.node is not None:
                search.handled.add((problem.function.key, key_of(problem.node)))
            search.opaque.setdefault(candidate.function.key, set()).update(candidate.opaque)
            return error or compiler(), candidate if candidate.repairs else None
        made[:] = before
    return compiler() if error is None else error, None


def _follows(problem: CompilerProblem, search: RefusalSearch) -> bool:
    """Whether a refusal comes from an edit and not from the source: it is about a value that an edit made."""
    if search.sources.bare and problem.says("argument-missing"):
        return True
    if problem.says("too-many-arguments") and _calls_bare_library(problem, search):
        return True
    if problem.function is None or problem.node is None:
        return problem.says("name-of-ours") is not None
    if torch_says_compiler.first_line_says(problem.message, "name-of-ours"):
        return True
    if problem.says("any-type") and "Any" not in problem.function.source:
        return True
    variadic = problem.function.tree.args.vararg
    if problem.refused("tuple-index-range") and variadic is not None:
        # What `*args` are nobody knows where none arrived; that they have no type is told already.
        return variadic.arg in edits.loaded_names(problem.node)
    return not refusals.independent(problem) and search.invented(problem.function, problem.whole or problem.node)


def _is_of_our_making(error: BaseException, problem: CompilerProblem, search: RefusalSearch) -> bool:
    """Whether Python failed inside of torch's parser over a source that an edit had changed: what a compiler says to
    its users is a RuntimeError, and what it says of a source as it stands is told before.
    """
    edited = any(search.sources.edits.values())
    return edited and problem.complaint is None and not isinstance(error, (RuntimeError, OSError))


def _calls_bare_library(problem: CompilerProblem, search: RefusalSearch) -> bool:
    """Whether a call meets a variadic function of a library that an edit has left without its stars."""
    called = problem.says("begins-with-call")
    return called is not None and any(
        called.name("callee") == function.tree.name
        for function in search.sources.functions.values()
        if function.key in search.sources.edits
        and (function.tree.args.vararg or function.tree.args.kwarg)
        and not search.users(function.path)
    )
