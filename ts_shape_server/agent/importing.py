"""How this process imports the user's files: from unsaved text where there is some, statement by statement, with
stand-ins for what is missing.

Every other import goes the usual way. One `Files` serves a process; it remembers how each file went.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import re
import sys
import sysconfig
import types
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ts_shape_server.agent import slicing, standins
from ts_shape_server.agent.clock import now
from ts_shape_server.agent.executing import Execution, ImportBudget

LATE_SECONDS = 5.0
"""For a file that is imported only while a class is being run."""
_OWN = ("__name__", "__package__", "__spec__", "__loader__", "__path__")
"""What a module knows of itself."""
_ACCELERATOR = re.compile(r"\b(cuda|mps|xpu)\b")


class Files:
    """The user's files as this process sees them. `stubbed` names every stand-in that was given."""

    def __init__(self) -> None:
        self.stubbed: list[str] = []
        self.executions: dict[str, Execution] = {}
        self.budget: ImportBudget | None = None
        self.wants_accelerator = False
        self.pretends_weights = False
        self._roots: tuple[str, ...] = ()
        self._overlays: dict[str, str] = {}
        paths = sysconfig.get_paths()
        libraries = {paths["stdlib"], paths["platstdlib"], os.path.dirname(torch.__file__)}
        self._libraries = tuple(os.path.join(os.path.realpath(path), "") for path in libraries)
        self._installed = False

    def configure(self, roots: Sequence[str], overlays: Mapping[str, str]) -> None:
        """From here on files below `roots` are the user's, and `overlays` (by absolute path) hide what is on disk."""
        self._roots = tuple(os.path.join(root, "") for root in dict.fromkeys(roots) if root)
        self._overlays = dict(overlays)
        for path, text in overlays.items():
            linecache.cache[path] = (len(text), None, text.splitlines(True), path)
        if not self._installed:
            self._installed = True
            self._install()

    def is_users(self, path: str) -> bool:
        parts = path.split(os.sep)
        if "site-packages" in parts or "dist-packages" in parts or not path.startswith(self._roots):
            return False
        return not path.startswith(self._libraries)

    def text(self, path: str) -> str:
        """The text of a file: unsaved, or from disk in the encoding that it declares. Raises OSError, SyntaxError."""
        known = self._overlays.get(path)
        if known is not None:
            return known
        with open(path, "rb") as file:
            return importlib.util.decode_source(file.read())

    def execute(self, path: str, module: types.ModuleType) -> Execution:
        """Run a file of the user's in `module`. Raises SyntaxError, OSError, and TimeLimit.

        A file that was run before under another name, as one in folders that are no packages is, gives what it gave
        then: a class that two files know is one class.
        """
        text = self.text(path)
        known = self.executions.get(path)
        if known is not None and known.complete and known.text == text and known.namespace is not module.__dict__:
            own = {name: module.__dict__[name] for name in _OWN if name in module.__dict__}
            module.__dict__.update({**known.namespace, **own})
            return known
        return self.execute_tree(path, module, ast.parse(text), text)

    def execute_tree(
        self, path: str, module: types.ModuleType, tree: ast.Module, text: str, chosen: Sequence[ast.stmt] | None = None
    ) -> Execution:
        """Run the whole of a parsed file, or the chosen statements of it."""
        if _ACCELERATOR.search(text) and not self.wants_accelerator:
            from ts_shape_server.agent import devices

            self.wants_accelerator = True
            devices.pretend()
        imports = standins.WatchedImports(self.stubbed, slicing.guarded_lines(tree), self.why_missing)
        module.__dict__["__builtins__"] = imports.namespace()
        module.__doc__ = ast.get_docstring(tree, clean=False)
        budget = self.budget or ImportBudget(now() + LATE_SECONDS, 1.0)
        execution = Execution(path, text, tree, module.__dict__, imports, budget)
        self.executions[path] = execution
        execution.run(tree.body if chosen is None else chosen)
        return execution

    def why_missing(self, module: Any, name: str) -> str | None:
        """Why a file of the user's does not have a name that it should; None if it is no such file."""
        execution = self.executions.get(getattr(module, "__file__", None) or "")
        if execution is None:
            return None
        problem = execution.failed.get(name)
        where = os.path.basename(execution.path)
        return f"is not in {where}" if problem is None else f"could not be had from {where}: {problem.message}"

    def _install(self) -> None:
        loader = importlib.machinery.SourceFileLoader
        usual = loader.exec_module
        files = self

        def exec_module(self: Any, module: types.ModuleType) -> None:
            if files.is_users(self.path):
                files.execute(self.path, module)
            else:
                usual(self, module)

        loader.exec_module = exec_module  # type: ignore[method-assign]  # the one place where imports can be overlaid
        sys.meta_path.append(_Unsaved(self))

    def unsaved(self, path: str) -> bool:
        return path in self._overlays

    @property
    def roots(self) -> tuple[str, ...]:
        return self._roots


class _Unsaved(importlib.abc.MetaPathFinder):
    """Finds files that exist as unsaved text only."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        last = name.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            package = os.path.join(folder, last)
            for place, search in ((os.path.join(package, "__init__.py"), [package]), (package + ".py", None)):
                if self._files.unsaved(place):
                    loader = importlib.machinery.SourceFileLoader(name, place)
                    return importlib.util.spec_from_file_location(
                        name, place, loader=loader, submodule_search_locations=search
                    )
        return None


def import_root(path: str) -> str:
    """The folder from which `path` is imported: the first above it that is no package."""
    folder = os.path.dirname(path)
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def module_name(path: str, tree: ast.Module | None = None) -> str:
    """The dotted name of `path` in its package; a name of its own where that is taken, or is no name.

    A folder without an ``__init__`` is a package too for a file whose `tree` imports what stands beside it by ``.``.
    """
    root = import_root(path)
    if tree is not None and root == os.path.dirname(path):
        for _ in range(_levels(tree)):
            root = os.path.dirname(root)
        name = _name_below(root, path)
        if "." in name:
            return name
        root = os.path.dirname(path)
    return _name_below(root, path)


def _levels(tree: ast.Module) -> int:
    """How many folders up the relative imports of a file reach, its own counted."""
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def _name_below(root: str, path: str) -> str:
    parts = os.path.splitext(os.path.relpath(path, root))[0].split(os.sep)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    name = ".".join(parts)
    own = "ts_shape_" + re.sub(r"\W", "_", parts[-1])
    if not all(part.isidentifier() for part in parts):
        return own
    taken = sys.modules.get(parts[0])
    folders = list(getattr(taken, "__path__", None) or [root])
    file = os.path.abspath(getattr(taken, "__file__", None) or folders[0])
    if taken is not None and not file.startswith(os.path.join(root, parts[0])):
        return own
    return own if parts[0] in sys.builtin_module_names or parts[0] in _standard() else name


def _standard() -> frozenset[str]:
    """Names of the standard library: a file of that name is never what `import` gives."""
    return frozenset(getattr(sys, "stdlib_module_names", ()))


def new_module(name: str, path: str) -> types.ModuleType:
    """An empty module for `path`, known to the import system by `name`."""
    search = [os.path.dirname(path)] if os.path.basename(path) == "__init__.py" else None
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader, submodule_search_locations=search)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    return module


def bare_package(name: str, folder: str) -> None:
    """A package without its `__init__`, so that what is in it can be imported."""
    module = types.ModuleType(name)
    module.__path__ = [folder]
    module.__package__ = name
    sys.modules[name] = module
