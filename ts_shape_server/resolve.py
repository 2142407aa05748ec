"""The one place that asks jedi: where a base class comes from, and which class a name stands for.

jedi takes tens of milliseconds a question, so callers ask in the background and answers are kept. It runs in this
process alone (`InterpreterEnvironment`): no interpreter of the workspace is started.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jedi
from jedi.api.environment import InterpreterEnvironment

from ts_shape_server.analysis.modules import BaseReference, FileClasses, find_classes, module_classes
from ts_shape_server.analysis.text import SourceText

log = logging.getLogger(__name__)

DEPTH = 8
"""How many files a chain of base classes may cross."""


@dataclass(frozen=True)
class Definition:
    """Where a class is: file, line from 1, qualified name (as far as nesting shows; the last part is sure)."""

    path: str
    line: int
    class_name: str


class Resolver:
    """Answers for one set of workspace folders. `environment` is an interpreter whose packages are searched too."""

    def __init__(self, folders: Sequence[str], environment: str | None = None) -> None:
        packages = _site_packages(environment)
        root = folders[0] if folders else "."
        added = [*folders[1:], *packages]
        self._project = jedi.Project(root, added_sys_path=added, load_unsafe_extensions=False)
        self._environment = InterpreterEnvironment()
        self._answers: dict[tuple[str, str], bool] = {}
        self._files: dict[tuple[str, float], FileClasses] = {}

    def is_module(self, path: str, text: str, reference: BaseReference, depth: int = 0) -> bool:
        """Whether a base class is an `nn.Module`, followed through files and installed packages. False if unknown."""
        key = (path, reference.resolved or reference.expression)
        if key not in self._answers:
            self._answers[key] = False
            self._answers[key] = self._follow(path, text, reference, depth)
        return self._answers[key]

    def forget(self) -> None:
        """Forget answers: files have changed."""
        self._answers.clear()

    def definition(self, path: str, text: str, line: int, column: int) -> Definition | None:
        """The class that the name at a position stands for: the class itself, or that of the instance it holds."""
        for ask in ("goto", "infer"):
            for name in self._ask(ask, path, text, line, column):
                if name.type in ("class", "instance") and name.module_path is not None:
                    found = self._class_at(str(name.module_path), name)
                    if found is not None:
                        return found
        return None

    def _follow(self, path: str, text: str, reference: BaseReference, depth: int) -> bool:
        if depth >= DEPTH:
            return False
        span = reference.range
        for name in self._ask("goto", path, text, span.line, max(span.column, span.end_column - 1)):
            full_name = name.full_name or ""
            if full_name.startswith(("torch.nn.", "pytorch_lightning.", "lightning.")) and name.type == "class":
                return True
            if name.module_path is not None and self._module_in(str(name.module_path), name.name, depth):
                return True
        return False

    def _module_in(self, path: str, class_name: str, depth: int) -> bool:
        classes = self._classes(path)
        if classes is None:
            return False
        text = Path(path).read_text("utf-8", "replace")
        modules = module_classes(classes, lambda base: self.is_module(path, text, base, depth + 1))
        return any(item.name == class_name for item in modules)

    def _class_at(self, path: str, name: Any) -> Definition | None:
        classes = self._classes(path)
        wanted = name.name
        for item in classes.classes if classes is not None else ():
            if item.name.rsplit(".", 1)[-1] == wanted and (name.line is None or item.line == name.line):
                return Definition(path, item.line, item.name)
        return None

    def _classes(self, path: str) -> FileClasses | None:
        try:
            key = (path, Path(path).stat().st_mtime)
            if key not in self._files:
                self._files[key] = find_classes(SourceText(Path(path).read_text("utf-8", "replace")))[0]
        except OSError:
            return None
        return self._files[key]

    def _ask(self, question: str, path: str, text: str, line: int, column: int) -> list[Any]:
        """jedi's names for a position; none where jedi fails on the code."""
        try:
            script = jedi.Script(code=text, path=path, project=self._project, environment=self._environment)
            if question == "goto":
                return list(script.goto(line, column, follow_imports=True, follow_builtin_imports=False))
            return list(script.infer(line, column))
        except Exception as error:
            log.debug("jedi at %s:%d: %r", path, line, error)
            return []


def _site_packages(interpreter: str | None) -> list[str]:
    """The package folders beside an interpreter, found by their place: the interpreter is not run."""
    if not interpreter:
        return []
    root = Path(interpreter).parent.parent
    return [str(folder) for folder in sorted(root.glob("lib/python3*/site-packages"))]
