"""Inert stand-ins for packages that the user's files import and that are not installed.

Only the user's own files get them: a library that tries an optional import must still see its `ImportError`. A
stand-in does nothing, can be called, subclassed, iterated and used as a decorator, and its name is reported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

from torch import nn


class Inert:
    """Stands for anything: every attribute, call and item of it is inert too."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Inert(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if (
            len(arguments) == 1
            and not keywords
            and (isinstance(arguments[0], type) or hasattr(arguments[0], "__code__"))
        ):
            return arguments[0]
        return Inert(f"{self._name}()")

    def __getitem__(self, key: Any) -> Any:
        return Inert(f"{self._name}[]")

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """As a base class: a module where the name says so, else nothing."""
        if self._name.endswith(("Module", "Model", "Layer", "Net", "Network", "ModelMixin", "Block")):
            return () if any(isinstance(base, type) and issubclass(base, nn.Module) for base in bases) else (nn.Module,)
        return ()

    def __repr__(self) -> str:
        return f"<stand-in for {self._name}>"


class _StandInModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Inert(f"{self.__name__}.{name}")


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder: gives a stand-in for a missing module when a file below `roots` asks for it."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = roots
        self.names: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        known = name.split(".")[0] in self.names
        if not known and not self._asked_by_user():
            return None
        top = name if "." in name and not known else name.split(".")[0]
        if top not in self.names:
            self.names.append(top)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = _StandInModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: ModuleType) -> None:
        return None

    def _asked_by_user(self) -> bool:
        """Whether the import statement stands in a file of the user's, as the frames tell."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            if "importlib" not in name and frame.f_globals.get("__name__") != __name__:
                outside = "site-packages" in name or "dist-packages" in name
                return not outside and any(name.startswith(root) for root in self._roots)
            frame = frame.f_back
        return False
