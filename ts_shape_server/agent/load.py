"""Gets a class out of the user's file: as a member of its package, with unsaved text, missing packages stood in for.

A file that does not load within its share of the time, or that ended an earlier probe while it was loading, is sliced:
the class and the definitions it reaches. Errors are values here, in a sentence for the author. Knows nothing of
inference.
"""

from __future__ import annotations

import ast
import functools
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ts_shape_server.agent import absent, command_lines, ecosystem, held, importing, shares, slicing, unset_globals
from ts_shape_server.agent.clock import TimeLimit, now
from ts_shape_server.agent.ecosystem import checkpoints
from ts_shape_server.agent.executing import ImportBudget, LoadProblem
from ts_shape_server.agent.importing import Files, import_root, module_name
from ts_shape_server.contract.asked import FileAsked

__all__ = [
    "LoadProblem",
    "Loaded",
    "LoadedClass",
    "depends",
    "find",
    "import_root",
    "installed_and",
    "load",
    "module_name",
    "readable",
]

READABLE = "TS_SHAPE_READABLE"
"""The variable in which the server names the folders that probes may read besides. It is no workspace's to set."""


@dataclass(frozen=True)
class Loaded:
    """A file's namespace, its text, the packages stood in for, and the first thing that went wrong (None: nothing).

    `failed` says of each name that the file should define and does not, why.
    """

    namespace: dict[str, Any]
    source: str
    tree: ast.Module | None
    stubbed: tuple[str, ...]
    problem: LoadProblem | None
    failed: Mapping[str, LoadProblem]
    sliced: bool = False


@dataclass(frozen=True)
class LoadedClass:
    """A class and the file it was loaded from. `notes` say which global names it reads were set for it."""

    found: type[nn.Module]
    loaded: Loaded
    notes: tuple[str, ...] = ()


_files = Files()


def readable(file: FileAsked, *more: str) -> list[str]:
    """The folders and files that a job on a file may read: interpreter, libraries, the workspace, and these."""
    return installed_and(file.root, import_root(file.path), *file.extra_paths, *more)


def installed_and(*paths: str) -> list[str]:
    """The folders of the interpreter and its libraries, and those of these paths that exist."""
    return sorted({*installed(), *_real(paths)})


@functools.cache
def installed() -> frozenset[str]:
    """The folders of the interpreter and its libraries. Asked by the agent before its forks, which find it done."""
    besides = os.environ.get(READABLE, "").split(os.pathsep)
    return _real([*besides, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path, *_editable()])


def _real(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(os.path.realpath(path) for path in paths if path and os.path.exists(path))


def _editable() -> Iterator[str]:
    """The folders of packages that were installed to be edited, where setuptools finds them by a map."""
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", None) or type(finder).__module__)
        for place in (
            getattr(module, "MAPPING", {}).values() if "__editable__" in getattr(module, "__name__", "") else ()
        ):
            yield str(place)


def stubbed() -> tuple[str, ...]:
    """What has been stood in for so far."""
    return tuple(_files.stubbed)


def load(file: FileAsked, seconds: float, sliced: bool = False, own_weights: bool = False) -> Loaded:
    """The file of a job, run as far as it goes within so many seconds; with `sliced` not at all, until a class of it is
    asked for. `own_weights`: no weights are made up for those that the file would load.
    """
    path, root = file.path, file.root
    _files.configure([root, import_root(path), *file.extra_paths], file.overlays)
    if not _files.pretends_weights and not own_weights:
        _files.pretends_weights = True
        absent.pretend(_files.stubbed)
        checkpoints.begin(_files.stubbed)
    ecosystem.watch(pretend=_files.pretends_weights)
    for folder in reversed([import_root(path), root, *file.extra_paths]):
        if folder and folder not in sys.path:
            sys.path.insert(0, folder)
    sys.argv = [path]
    try:
        source = _files.text(path)
    except OSError as error:
        problem = LoadProblem("no-file", f"The file cannot be read: {error.strerror or error}.", path)
        return Loaded({}, "", None, (), problem, {})
    except (SyntaxError, UnicodeError) as error:
        return Loaded({}, "", None, (), _syntax_problem(error, path), {})
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Loaded({}, source, None, (), _syntax_problem(error, path), {})
    if sliced:
        return Loaded({}, source, tree, (), _ended(path), {}, sliced=True)
    with _budget(seconds), command_lines.empty(_unknown):
        return _run(path, tree, source)


def _unknown(name: str) -> str:
    """What a number is that a file's command line has to give: a guess would be told as a size of the class."""
    return "None"


def _run(path: str, tree: ast.Module, source: str) -> Loaded:
    stopped: LoadProblem | None = None
    name = module_name(path, tree)
    namespace: dict[str, Any] = {}
    try:
        _import_parents(name, path)
        known = sys.modules.get(name)
        execution = _files.executions.get(path)
        same = known is not None and execution is not None and known.__dict__ is execution.namespace
        if execution is None or execution.text != source or not (same or execution.complete):
            module = importing.new_module(name, path)
            namespace = module.__dict__
            execution = _files.execute_tree(path, module, tree, source)
        namespace = execution.namespace
    except TimeLimit:
        stopped = LoadProblem("slow-import", _TOO_SLOW, path)
    execution = _files.executions.get(path)
    failed = dict(execution.failed) if execution is not None else {}
    first = execution.first if execution is not None else None
    return Loaded(namespace, source, tree, stubbed(), stopped or first, failed)


_TOO_SLOW = (
    "The file takes too long to import: raise `timeoutMs`, or move what runs at the top into "
    '`if __name__ == "__main__":`.'
)


def find(loaded: Loaded, qualified: str, file: FileAsked, seconds: float) -> LoadedClass | LoadProblem:
    """The class of that qualified name: from the import, else from a slice of the file."""
    path = file.path
    if loaded.tree is None:
        return loaded.problem or LoadProblem("no-class", f"`{qualified}` is not in the file.", path)
    cls = _lookup(loaded.namespace, qualified)
    unreached = loaded.sliced or (loaded.problem is not None and loaded.problem.code == "slow-import")
    if cls is None and unreached and ".<locals>." not in qualified:
        sliced = _slice(loaded, qualified, path, seconds)
        if isinstance(sliced, LoadProblem):
            return sliced
        loaded, cls = sliced, _lookup(sliced.namespace, qualified)
    if cls is None:
        return _why_not(loaded, qualified, path)
    if not issubclass(cls, nn.Module):
        why = _missing_base(loaded)
        return LoadProblem("no-module", f"`{qualified}` is no `nn.Module` when the file is imported{why}.", path)
    tree = loaded.tree or ast.Module([], [])
    with command_lines.empty(_unknown):
        notes = unset_globals.supply(tree, loaded.source, qualified.split(".")[0], loaded.namespace, path)
    return LoadedClass(cls, loaded, notes)


def _why_not(loaded: Loaded, qualified: str, path: str) -> LoadProblem:
    first = qualified.split(".")[0]
    if first in loaded.failed:
        return loaded.failed[first]
    if ".<locals>." in qualified:
        message = f"`{qualified.rsplit('.', 1)[-1]}` is made inside a function: it can be probed once it is at the top."
        return LoadProblem("local-class", message, path)
    return loaded.problem or LoadProblem("no-class", f"`{qualified}` does not exist once the file is imported.", path)


def _missing_base(loaded: Loaded) -> str:
    """Names the packages whose absence may be why a class is no module."""
    return f": {', '.join(f'`{name}`' for name in loaded.stubbed)} could not be imported" if loaded.stubbed else ""


def depends(file: FileAsked) -> list[str]:
    """The workspace files that have been imported so far."""
    root = os.path.join(file.root, "")
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return sorted(
        {file for file in files if isinstance(file, str) and file.startswith(root) and "site-packages" not in file}
    )


def _lookup(namespace: Mapping[str, Any], qualified: str) -> Any:
    parts = qualified.split(".")
    current: Any = namespace.get(parts[0])
    for part in parts[1:]:
        current = getattr(current, part, None) if isinstance(current, type) else None
    if isinstance(current, nn.Module) and qualified in namespace:
        return held.class_of(current, qualified)
    return current if isinstance(current, type) else None


def _slice(loaded: Loaded, qualified: str, path: str, seconds: float) -> Loaded | LoadProblem:
    """The class and what it reaches, in a module of its own that takes the place of the file's."""
    assert loaded.tree is not None
    first = qualified.split(".")[0]
    name = module_name(path, loaded.tree)
    with _budget(seconds, sliced=True), command_lines.empty(_unknown):
        try:
            _bare_parents(name, path)
            module = importing.new_module(name, path)
            chosen = slicing.statements(loaded.tree, first)
            execution = _files.execute_tree(path, module, loaded.tree, loaded.source, chosen)
        except TimeLimit:
            return LoadProblem("slow-import", _TOO_SLOW, path)
    if first not in module.__dict__:
        return execution.failed.get(first) or loaded.problem or _ended(path)
    return Loaded(
        module.__dict__, loaded.source, loaded.tree, stubbed(), loaded.problem, execution.failed, loaded.sliced
    )


class _budget:
    """While in it, files are run against this deadline."""

    def __init__(self, seconds: float, sliced: bool = False) -> None:
        self._seconds = seconds
        self._sliced = sliced

    def __enter__(self) -> None:
        script = shares.STATEMENTS.of(self._seconds)
        _files.budget = ImportBudget(now() + self._seconds, script, self._sliced)

    def __exit__(self, *_: object) -> None:
        _files.budget = None


def _parents(name: str, path: str) -> Iterator[tuple[str, str]]:
    """The packages that the module is in, outermost first, with their folders."""
    parts = name.split(".")
    if os.path.basename(path) != "__init__.py":
        folder = os.path.dirname(path)
    else:
        folder = os.path.dirname(os.path.dirname(path))
    folders = [folder]
    for _ in parts[:-2]:
        folders.append(os.path.dirname(folders[-1]))
    for count, place in zip(range(1, len(parts)), reversed(folders)):
        yield ".".join(parts[:count]), place


def _import_parents(name: str, path: str) -> None:
    """Run the `__init__` of each package, as an import does; one that fails or is missing is replaced by a bare
    package.
    """
    for package, folder in _parents(name, path):
        if package in sys.modules:
            continue
        first = os.path.join(folder, "__init__.py")
        if not os.path.isfile(first) and not _files.unsaved(first):
            importing.bare_package(package, folder)
            continue
        try:
            importlib.import_module(package)
        except Exception:
            importing.bare_package(package, folder)


def _bare_parents(name: str, path: str) -> None:
    for package, folder in _parents(name, path):
        if package not in sys.modules:
            importing.bare_package(package, folder)


def _ended(path: str) -> LoadProblem:
    return LoadProblem("raises-at-import", "The file ended the probe, or hung, while it was imported.", path)


def _syntax_problem(error: BaseException, path: str) -> LoadProblem:
    line = getattr(error, "lineno", None)
    text = getattr(error, "msg", None) or str(error)
    where = f" in line {line}" if line else ""
    width = len(getattr(error, "text", None) or "")
    return LoadProblem("syntax-error", f"The file does not parse{where}: {text}.", path, line, width)
