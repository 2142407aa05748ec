"""Which libraries are known, and the hook that sees them being imported.

Knows the names of the files in `libraries` and nothing of what is in them.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

ALIASES = {"pytorch_lightning": "lightning"}
"""Other names under which a library is imported."""


SPREAD = "**"
"""The parameter of what is passed by its keys: ``self.bert(**inputs)``."""


@dataclass(frozen=True)
class Passed:
    """What a parameter of `forward` is passed to, a module, a function or the class of an `autograd.Function`, and the
    name of the parameter there, or `SPREAD`. `call` tells apart the calls of one target.
    """

    target: Any
    parameter: str
    call: str = ""


@dataclass(frozen=True)
class Asked:
    """An input of `forward` that a library may know the kind of: its name, its annotation as far as there is one, the
    attributes and the keys that the body reads of it, and what it is passed to. `module` is an instance of the class
    that is asked about, None if there is none yet.
    """

    name: str
    annotation: Any = None
    attributes: frozenset[str] = frozenset()
    keys: tuple[str, ...] = ()
    passed: tuple[Passed, ...] = ()
    module: Any = None


_files: dict[str, Any] = {}


def prepare() -> None:
    """Read the files of all libraries, which import none of them. A process in the sandbox can read no file of ours."""
    folder = os.path.join(os.path.dirname(__file__), "libraries")
    for name in sorted(os.listdir(folder)):
        library, extension = os.path.splitext(name)
        if extension == ".py" and not library.startswith("_"):
            _files[library] = importlib.import_module(f"{__package__}.libraries.{library}")


def _library(module: str) -> str:
    first = module.partition(".")[0]
    return ALIASES.get(first, first)


class Libraries(importlib.abc.MetaPathFinder):
    """Sees imports, and lets each library's file change the modules that it watches. `seen` are those libraries."""

    def __init__(self, pretend: bool) -> None:
        self._pretend = pretend
        self._looking: set[str] = set()
        self.seen: set[str] = set()

    def changes(self, module: str) -> Mapping[str, Any]:
        """What the file for the library that a module is of changes, by the names of its modules."""
        library = _library(module)
        file = _files.get(library)
        if file is None:
            return {}
        self.seen.add(library)
        watched = getattr(file, "WATCHED", {}) if self._pretend else {}
        return {**watched, **getattr(file, "ADAPTED", {})}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name in self._looking:
            return None
        change = self.changes(name).get(name)
        if change is None:
            return None
        self._looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        finally:
            self._looking.discard(name)
        loader: Any = None if spec is None else spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return None
        usual = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            usual(module)
            changed(change, module)

        loader.exec_module = exec_module
        return spec


def changed(change: Any, module: ModuleType) -> None:
    """Let `change` have the module as the import system knows it. What it raises is logged: the import goes on."""
    try:
        change(sys.modules.get(module.__name__, module))
    except Exception:
        traceback.print_exc()


_libraries: Libraries | None = None


def watch(pretend: bool) -> None:
    """From here on the libraries that this process imports are watched. With `pretend`, weights that are not here are
    made up. A second call does nothing.
    """
    global _libraries
    if _libraries is not None:
        return
    _libraries = Libraries(pretend)
    sys.meta_path.insert(0, _libraries)
    for name in list(sys.modules):
        change = _libraries.changes(name).get(name) if _library(name) in _files else None
        if change is not None:
            changed(change, sys.modules[name])


def argument(parameter: Any, cls: type, namespace: Mapping[str, Any]) -> str | None:
    """An expression for a constructor argument that one of the imported libraries knows how to make."""
    return next(_answers("argument", parameter, cls, namespace), None)


def configured(parameter: Any, cls: type, namespace: Mapping[str, Any]) -> tuple[str, str] | None:
    """An expression for what one of the imported libraries passes to a constructor because a file of the workspace says
    so, and the name of that file.
    """
    return next(_answers("configured", parameter, cls, namespace), None)


def container(asked: Asked, namespace: Mapping[str, Any]) -> Any:
    """The guess for an input that is of a kind of one of the imported libraries; None for any other."""
    return next(_answers("container", asked, namespace), None)


def spelled(value: Any, namespace: Mapping[str, Any]) -> str | None:
    """An expression that makes an object of a library's own kind anew; None for any other."""
    return next(_answers("spelled", value, namespace), None)


def instance(value: Any, namespace: Mapping[str, Any], guess: Any) -> Any:
    """The guess that describes an object of a library's own kind; `guess` describes what is in it."""
    return next(_answers("instance", value, namespace, guess), None)


def _answers(question: str, *arguments: Any) -> Iterator[Any]:
    for library in sorted(_libraries.seen) if _libraries is not None else ():
        function = getattr(_files[library], question, None)
        try:
            found = None if function is None else function(*arguments)
        except Exception:
            traceback.print_exc()
            continue
        if found is not None:
            yield found
