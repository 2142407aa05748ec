"""Runs a file of the user's statement by statement, so that one that fails, or never ends, does not cost the classes.

Definitions and imports have the time of the whole load; statements that only do something share a small part of it,
and are not run at all when the file is `sliced`. Every failure is kept with the names it did not define.
"""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ts_shape_server.agent import shares, slicing, torch_says
from ts_shape_server.agent.clock import TimeLimit, now, waiting_limit
from ts_shape_server.agent.standins import WatchedImports


@dataclass(frozen=True)
class LoadProblem:
    """Why a class could not be had. `width` is the length of the line, for a range."""

    code: str
    message: str
    path: str
    line: int | None = None
    width: int = 0


@dataclass
class ImportBudget:
    """`deadline` is a value of `clock.now()`; `script` the seconds left for statements that only do something."""

    deadline: float
    script: float
    sliced: bool = False


@dataclass
class Execution:
    """One file being run in its namespace. `first` is the first problem, `failed` the problem of each missing name.

    `complete` once all of the file has run and nothing went wrong.
    """

    path: str
    text: str
    tree: ast.Module
    namespace: dict[str, Any]
    imports: WatchedImports
    budget: ImportBudget
    first: LoadProblem | None = None
    failed: dict[str, LoadProblem] = field(default_factory=dict)
    complete: bool = False

    def run(self, statements: Iterable[ast.stmt]) -> None:
        """Raises `TimeLimit` once the deadline of the load has passed, and nothing that the user's code raises."""
        flags = slicing.future_flags(self.tree)
        for statement in statements:
            if not slicing.is_main_guard(statement):
                self._one(statement, flags)
        self.complete = statements is self.tree.body and self.first is None

    def _one(self, statement: ast.stmt, flags: int) -> None:
        defines = slicing.only_defines(statement)
        budget = self.budget
        needed = bool(slicing.bound(statement))
        if not defines and not needed and (budget.script <= 0 or budget.sliced):
            return
        started = now()
        left = budget.deadline - started
        seconds = left if defines else min(left, max(budget.script, shares.NAMED_STATEMENT if needed else 0.0))
        try:
            with waiting_limit(seconds):
                self._execute(statement, flags)
        except TimeLimit:
            # What only waited has used up the time that it was given all the same.
            waited = max(0.0, seconds - (now() - started))
            budget.deadline -= waited
            budget.script -= 0.0 if defines else waited
            if now() >= budget.deadline:
                raise
            self._note(statement, self._too_slow(statement))
        except MemoryError:
            self._note(
                statement, LoadProblem("raises-at-import", self._no_memory(statement), self.path, statement.lineno)
            )
        except BaseException as error:
            if not self._again(statement, error, flags):
                self._note(statement, self._cause(error) or import_problem(error, self.path))
        finally:
            if not defines:
                budget.script -= now() - started

    def _execute(self, statement: ast.stmt, flags: int) -> None:
        code = compile(ast.Module([statement], []), self.path, "exec", flags=flags, dont_inherit=True)
        exec(code, self.namespace)

    def _again(self, statement: ast.stmt, error: BaseException, flags: int) -> bool:
        """Another way to have what the statement defines: without decorators, or the parts of a block one by one."""
        if (
            isinstance(statement, slicing.DEFINITIONS)
            and statement.decorator_list
            and not isinstance(error, SyntaxError)
        ):
            bare = ast.copy_location(
                type(statement)(**{**dict(ast.iter_fields(statement)), "decorator_list": []}), statement
            )
            try:
                self._execute(bare, flags)
            except BaseException as second:
                if isinstance(second, TimeLimit):
                    raise
                return False
            return True
        if slicing.holds_definitions(statement):
            self.imports.lenient = True
            try:
                for inner in self._parts(statement):
                    self._one(inner, flags)
            finally:
                self.imports.lenient = False
            return True
        return False

    def _parts(self, statement: ast.stmt) -> list[ast.stmt]:
        if isinstance(statement, ast.If):
            test = ast.fix_missing_locations(ast.Expression(statement.test))
            try:
                holds = eval(compile(test, self.path, "eval", dont_inherit=True), self.namespace)
            except Exception:
                holds = True
            return statement.body if holds else statement.orelse
        return list(getattr(statement, "body", ()))

    def _cause(self, error: BaseException) -> LoadProblem | None:
        """The problem of an earlier statement, if this one failed for want of what that one defines."""
        name = getattr(error, "name", None) if isinstance(error, NameError) else None
        if name is None and isinstance(error, NameError):
            # Python 3.9 names it in the text alone.
            unknown = torch_says.read(error).get("missing-name")
            name = unknown.name("name") if unknown is not None else None
        return self.failed.get(name or "")

    def _note(self, statement: ast.stmt, problem: LoadProblem) -> None:
        self.first = self.first or problem
        for name in slicing.bound(statement) | slicing.stored(statement):
            if name not in self.namespace:
                self.failed.setdefault(name, problem)

    def _too_slow(self, statement: ast.stmt) -> LoadProblem:
        message = (
            f"Line {statement.lineno} works too long when the file is imported, and was not waited for: "
            'move it into a function, or under `if __name__ == "__main__":`.'
        )
        return LoadProblem("slow-import", message, self.path, statement.lineno)

    def _no_memory(self, statement: ast.stmt) -> str:
        return f"Line {statement.lineno} takes more memory than a probe may have when the file is imported."


def import_problem(error: BaseException, path: str) -> LoadProblem:
    """What stopped a statement at the top of `path`, in a sentence."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = frames[-1].lineno if frames else None
    width = len(frames[-1].line or "") if frames else 0
    if isinstance(error, SyntaxError) and error.filename == path:
        line = error.lineno
    described = _described(error)
    where = f" in line {line}" if line else ""
    if isinstance(error, ImportError):
        advice = "Install the package, or add its folder to `extraPaths`."
        return LoadProblem(
            "import-error", f"The file cannot be imported{where}: {described}. {advice}", path, line, width
        )
    if isinstance(error, SystemExit):
        advice = 'put that under `if __name__ == "__main__":`'
        message = f"The file ends the program when it is imported{where}: {advice}."
        return LoadProblem("raises-at-import", message, path, line, width)
    message = f"The file raises when it is imported{where}: {described}."
    return LoadProblem("raises-at-import", message, path, line, width)


def _described(error: BaseException) -> str:
    try:
        text = str(error).strip().splitlines()[0][:200]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}".rstrip(": .")
