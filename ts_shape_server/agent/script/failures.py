"""Every reason why `torch.jit.script` refuses a module: compile, note the refusal, take it out of the way, compile on.

It decides what counts as a reason of its own and what merely follows from an edit. What torch's words mean is in
`words`, which edit to try in `neutralise`.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
import torch._jit_internal
import torch.jit._recursive
import torch.jit._state
from torch import nn

from ts_shape_server.agent.script import locate, neutralise, unplaced, words
from ts_shape_server.agent.script.observe import is_foreign
from ts_shape_server.agent.script.problem import Problem, Search, take_apart
from ts_shape_server.agent.script.sources import Edit, Sources, key_of

LIMIT = 25
"""Of reasons of one module."""
ATTEMPTS = 150
"""Of compilations of one module."""
DETAIL_LIMIT = 4000


@dataclass
class Compiler:
    """Compiles one module, again and again. `scripted` is the result once nothing is refused.

    `known` are the compiled types of torch's own leaf modules: they need no second compilation.
    """

    module: nn.Module
    scripted: Any | None = None
    attempts: int = 0
    sources: Sources | None = None
    known: dict[type, list[Any]] = field(default_factory=dict)

    def forget(self) -> None:
        """Drop what torch remembers of compiled functions of the user's: it may hold edits."""
        remembered: Any = getattr(torch.jit._state, "_jit_caching_layer", {})
        for parsed in self.sources.functions.values() if self.sources is not None else ():
            if not is_foreign(parsed.path):
                remembered.pop(parsed.function, None)

    def __call__(self, part: nn.Module | None = None) -> BaseException | None:
        """None if the module (or a part of it) compiles, else what torch raised."""
        recursive: Any = torch.jit._recursive
        self.attempts += 1
        internal: Any = torch._jit_internal
        kept = recursive.concrete_type_store
        look_up = internal._get_overloaded_methods
        if self.attempts > 1 and hasattr(internal, "_overloaded_methods"):
            # Half the time of a compilation goes into looking for overloads of every method; few names have any.
            names = {name.rpartition(".")[2] for name in internal._overloaded_methods}
            internal._get_overloaded_methods = lambda method, kind: (
                look_up(method, kind) if getattr(method, "__name__", None) in names else None
            )
        recursive.concrete_type_store = store = recursive.ConcreteTypeStore()
        store.type_store.update(self.known)
        store.methods_compiled.update(item for items in self.known.values() for item in items)
        self.forget()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scripted = torch.jit.script(part or self.module)
            self.scripted = scripted if part is None or part is self.module else None
            return None
        except Exception as error:
            return error
        finally:
            recursive.concrete_type_store = kept
            internal._get_overloaded_methods = look_up
            self.known = {
                kind: done
                for kind, items in store.type_store.items()
                if (done := [item for item in items if item in store.methods_compiled and _is_leaf(kind, item)])
            }
            self.forget()


def _is_leaf(kind: type, compiled: Any) -> bool:
    """Whether a type is one of torch's own modules without parts: no edit reaches into it."""
    return kind.__module__.startswith("torch.") and not compiled.get_modules()


@dataclass
class Reasons:
    """The failures so far, as the contract spells them, by what makes them one."""

    found: dict[Any, dict[str, Any]] = field(default_factory=dict)

    def add(self, problem: Problem, told: words.Told) -> None:
        place = told.place or problem.place
        key = (told.cause, None if told.cause else place)
        location = None if place is None else locate.json_location(place)
        if key in self.found:
            again = {**location, "message": "the same here"} if location is not None else None
            known = [self.found[key]["location"], *self.found[key]["related"]]
            if again is not None and again["range"] not in [(item or {}).get("range") for item in known]:
                self.found[key]["related"].append(again)
            return
        related = [locate.json_location(item, item.caption or "reached from here") for item in problem.chain]
        self.found[key] = {
            "code": "script-error",
            "message": told.message,
            "location": location,
            "detail": problem.text.strip()[:DETAIL_LIMIT],
            "related": [*(locate.json_location(item, item.caption) for item in told.related), *related],
        }


def collect(compiler: Compiler, search: Search, remaining: Callable[[], float]) -> tuple[bool, list[dict[str, Any]]]:
    """Whether the module scripts as it stands, and all the reasons why not, in the order torch met them."""
    reasons = Reasons()
    error = compiler()
    first = error
    while error is not None and len(reasons.found) < LIMIT and compiler.attempts < ATTEMPTS:
        problem = take_apart(error, search)
        follows = _follows(problem, search)
        started = time.monotonic()
        if problem.place is None:
            problem = unplaced.place(problem, compiler.module, search)
        if unplaced.mend(problem, compiler.module):
            error, repaired = compiler(), None
        else:
            error, repaired = _get_past(problem, compiler, search, remaining)
        if not follows:
            names, owner = (repaired.repairs, repaired.function) if repaired is not None else ((), None)
            reasons.add(problem, words.tell(problem, search, names, owner))
        if error is problem_error(error, problem, search) or remaining() < 2 * (time.monotonic() - started):
            break
    return first is None, list(reasons.found.values())


def problem_error(error: BaseException | None, problem: Problem, search: Search) -> BaseException | None:
    """`error` if it is the problem again, else None."""
    if error is None or take_apart(error, search).signature != problem.signature:
        return None
    return error


def _get_past(
    problem: Problem, compiler: Compiler, search: Search, remaining: Callable[[], float]
) -> tuple[BaseException | None, neutralise.Candidate | None]:
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
        if problem_error(error, problem, search) is None:
            for narrower in candidate.narrower:
                made[:] = [*before, *narrower.edits]
                attempt = compiler(problem.module)
                if problem_error(attempt, problem, search) is None:
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


def _follows(problem: Problem, search: Search) -> bool:
    """Whether a refusal comes from an edit and not from the source: it is about a value that an edit made."""
    if problem.function is None or problem.node is None:
        return "ts_shape_" in problem.message
    if "ts_shape_" in problem.message.split("\n")[0]:
        return True
    if re.search(r"\bAny\b", problem.message) and "Any" not in problem.function.source:
        return True
    return not words.independent(problem) and search.invented(problem.function, problem.whole or problem.node)
