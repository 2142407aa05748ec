"""Gets a class out of the user's file: as a member of its package, with unsaved text, missing packages stood in for.

A file that cannot be imported whole within its share of the time is sliced: the class and the definitions it reaches.
Errors are values here, in a sentence for the author. Knows nothing of inference.
"""

from __future__ import annotations

import ast
import importlib.machinery
import linecache
import os
import sys
import sysconfig
import time
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ts_shape_server.agent import slicing
from ts_shape_server.agent.infer.limits import TimeLimit, time_limit
from ts_shape_server.agent.standins import StandIns

SHARE = 0.4
"""Part of a class's time that loading its file may take."""


@dataclass(frozen=True)
class LoadProblem:
    """Why a class could not be had. `width` is the length of the line, for a range."""

    code: str
    message: str
    path: str
    line: int | None = None
    width: int = 0


@dataclass(frozen=True)
class Loaded:
    """A file's namespace, its text, the packages stood in for, and what stopped the import (None if nothing)."""

    namespace: dict[str, Any]
    source: str
    tree: ast.Module | None
    stubbed: tuple[str, ...]
    problem: LoadProblem | None
    devices_pretended: bool


@dataclass(frozen=True)
class Found:
    """A class and the file it was loaded from."""

    found: type[nn.Module]
    loaded: Loaded


_finder: StandIns | None = None


def readable(job: Mapping[str, Any]) -> list[str]:
    """The folders that a job may read: interpreter, libraries, the workspace."""
    paths = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path]
    paths += [
        job.get("root", ""),
        *job.get("extra_paths", ()),
        "/usr",
        "/lib",
        "/lib64",
        "/etc",
        "/proc",
        "/sys",
        "/dev",
    ]
    if job.get("kind") in ("verify", "inspect"):
        paths += [os.path.dirname(job[key]) for key in ("archive", "expected") if job.get(key)]
    if job.get("checkpoint"):
        paths.append(job["checkpoint"])
    return sorted({os.path.realpath(path) for path in paths if path and os.path.exists(path)})


def import_root(path: str) -> str:
    """The folder from which `path` is imported: the first above it that is no package."""
    folder = os.path.dirname(path)
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def module_name(path: str) -> str:
    """The dotted name of `path` in its package; a name of its own where that is taken by a module already loaded."""
    root = import_root(path)
    parts = os.path.splitext(os.path.relpath(path, root))[0].split(os.sep)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    name = ".".join(parts)
    taken = sys.modules.get(name)
    if not all(part.isidentifier() for part in parts):
        return "ts_shape_" + "".join(character if character.isalnum() else "_" for character in parts[-1])
    if taken is not None and os.path.abspath(getattr(taken, "__file__", None) or "") != path:
        return f"ts_shape_{parts[-1]}"
    return name


def load(job: Mapping[str, Any], seconds: float) -> Loaded:
    """The file of a job, imported if that goes within so many seconds."""
    global _finder
    path, root = job["path"], job["root"]
    overlays = dict(job.get("overlays", {}))
    source = overlays.get(path)
    if source is None:
        try:
            with open(path, encoding="utf-8", errors="replace", newline="") as file:
                source = file.read()
        except OSError as error:
            problem = LoadProblem("no-file", f"The file cannot be read: {error.strerror or error}.", path)
            return Loaded({}, "", None, (), problem, False)
    overlays[path] = source
    _overlay(overlays)
    _paths(path, root, job.get("extra_paths", ()))
    if _finder is None:
        _finder = StandIns(tuple({root, import_root(path), os.path.dirname(path)}))
        sys.meta_path.append(_finder)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        return Loaded({}, source, None, (), _syntax_problem(error, path), False)
    name = module_name(path)
    started = time.monotonic()
    module, stopped = _import(name, path, source, seconds)
    left = seconds - (time.monotonic() - started)
    if stopped is not None and _bare_parents(name, path) and left > 0:
        # The package's own `__init__` may be what fails; its modules may well do without it.
        module, stopped = _import(name, path, source, left)
    stubbed = tuple(_finder.names)
    return Loaded(module.__dict__, source, tree, stubbed, stopped, "cuda" in source or "device" in source)


def _import(name: str, path: str, source: str, seconds: float) -> tuple[types.ModuleType, LoadProblem | None]:
    """The module as far as it came, and what stopped it."""
    module = _new_module(name, path)
    try:
        with time_limit(seconds):
            exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except TimeLimit:
        message = (
            f"Importing the file takes longer than {seconds:.0f} s: "
            'move what runs at the top into `if __name__ == "__main__":`.'
        )
        return module, LoadProblem("slow-import", message, path)
    except (Exception, SystemExit) as error:
        return module, _import_problem(error, path)
    return module, None


def _bare_parents(name: str, path: str) -> bool:
    """Put empty packages in the place of parents that could not be imported; False if there are none."""
    parents = name.split(".")[:-1]
    folder = os.path.dirname(path)
    made = False
    for count in range(len(parents), 0, -1):
        parent = ".".join(parents[:count])
        if parent not in sys.modules:
            module = types.ModuleType(parent)
            module.__path__ = [folder]
            module.__package__ = parent
            sys.modules[parent] = module
            made = True
        folder = os.path.dirname(folder)
    return made


def find(loaded: Loaded, qualified: str, job: Mapping[str, Any], seconds: float) -> Found | LoadProblem:
    """The class of that qualified name: from the import, else from a slice of the file."""
    cls = _lookup(loaded.namespace, qualified)
    if cls is None and loaded.tree is None:
        return loaded.problem or LoadProblem("no-class", f"`{qualified}` is not in the file.", job["path"])
    if cls is None and loaded.tree is not None and loaded.problem is not None:
        sliced = _slice(loaded, qualified, job, seconds)
        if isinstance(sliced, LoadProblem):
            return sliced
        loaded, cls = sliced, _lookup(sliced.namespace, qualified)
    if cls is None and ".<locals>." in qualified:
        return LoadProblem(
            "local-class",
            f"`{qualified.rsplit('.', 1)[-1]}` is made inside a function: "
            "it can be probed once it is at the top of a module.",
            job["path"],
        )
    if cls is None:
        return loaded.problem or LoadProblem(
            "no-class", f"`{qualified}` does not exist once the file is imported.", job["path"]
        )
    if not issubclass(cls, nn.Module):
        return LoadProblem("no-module", f"`{qualified}` is no `nn.Module` when the file is imported.", job["path"])
    return Found(cls, loaded)


def depends(job: Mapping[str, Any]) -> list[str]:
    """The workspace files that have been imported so far."""
    root = os.path.join(job["root"], "")
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return sorted(
        {file for file in files if isinstance(file, str) and file.startswith(root) and "site-packages" not in file}
    )


def _lookup(namespace: Mapping[str, Any], qualified: str) -> Any:
    parts = qualified.split(".")
    current: Any = namespace.get(parts[0])
    for part in parts[1:]:
        current = getattr(current, part, None) if isinstance(current, type) else None
    return current if isinstance(current, type) else None


def _slice(loaded: Loaded, qualified: str, job: Mapping[str, Any], seconds: float) -> Loaded | LoadProblem:
    assert loaded.tree is not None and loaded.problem is not None
    name = qualified.split(".")[0]
    module = _new_module(module_name(job["path"]), job["path"])
    chosen = slicing.statements(loaded.tree, name)
    try:
        with time_limit(seconds):
            error = slicing.execute(chosen, job["path"], module.__dict__, name)
    except TimeLimit:
        return loaded.problem
    if error is not None:
        return _import_problem(error, job["path"])
    stubbed = tuple(_finder.names) if _finder is not None else ()
    return Loaded(module.__dict__, loaded.source, loaded.tree, stubbed, loaded.problem, loaded.devices_pretended)


def _new_module(name: str, path: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = path
    module.__package__ = name.rpartition(".")[0]
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=path)
    if os.path.basename(path) == "__init__.py":
        module.__package__ = name
        module.__path__ = [os.path.dirname(path)]
    sys.modules[name] = module
    return module


def _paths(path: str, root: str, extra: Any) -> None:
    for folder in reversed([import_root(path), root, *extra]):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _overlay(texts: Mapping[str, str]) -> None:
    """Let imports and `linecache`, through which torch reads sources, see these texts instead of the disk."""
    for path, text in texts.items():
        linecache.cache[path] = (len(text), None, text.splitlines(True), path)
    loader = importlib.machinery.SourceFileLoader
    current = getattr(loader, "_ts_shape_texts", None)
    if current is not None:
        current.clear()
        current.update(texts)
        return
    kept = dict(texts)
    original = loader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        path = self.get_filename(fullname)
        if path in kept:
            return compile(kept[path], path, "exec", dont_inherit=True)
        return original(self, fullname)

    loader.get_code = get_code  # type: ignore[method-assign]  # this is how unsaved text reaches imports
    loader._ts_shape_texts = kept  # type: ignore[attr-defined]  # found again by the next job of this process


def _syntax_problem(error: Exception, path: str) -> LoadProblem:
    line = getattr(error, "lineno", None)
    text = getattr(error, "msg", None) or str(error)
    where = f" in line {line}" if line else ""
    return LoadProblem(
        "syntax-error", f"The file does not parse{where}: {text}.", path, line, len(getattr(error, "text", None) or "")
    )


def _import_problem(error: BaseException, path: str) -> LoadProblem:
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = frames[-1].lineno if frames else None
    width = len(frames[-1].line or "") if frames else 0
    try:
        text = str(error).splitlines()[0][:200] if str(error) else ""
    except Exception:
        text = ""
    where = f" in line {line}" if line else ""
    described = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, ImportError):
        message = (
            f"The file cannot be imported{where}: {described}. Install the package, or add its folder to `extraPaths`."
        )
        return LoadProblem("import-error", message, path, line, width)
    if isinstance(error, SystemExit):
        message = f'The file ends the program when it is imported{where}: put that under `if __name__ == "__main__":`.'
        return LoadProblem("raises-at-import", message, path, line, width)
    return LoadProblem(
        "raises-at-import", f"The file raises when it is imported{where}: {described}.", path, line, width
    )
