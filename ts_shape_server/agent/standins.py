"""Inert stand-ins for what the user's files import and this machine does not have.

A stand-in does nothing: it can be called, subclassed, iterated, compared and used as a decorator, so that a file loads.
It never takes part in a run: where tensors reach it, it raises and says what is missing. Knows nothing of importing.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Union

import torch
from torch import nn

from ts_shape_server.agent import trees

_MODULE_NAMES = ("Module", "Model", "Layer", "Net", "Network", "ModelMixin", "Block", "Backbone", "Encoder", "Decoder")

_DEPTH = 4
"""Containers inside of containers, of the arguments that are looked through."""

_RECORD = re.compile(
    r"(h(yper)?params|params|conf(ig)?|config_?dict|cfg|cfgnode|easydict|edict|attrdict|addict\.Dict|namespace|options|"
    r"settings|munch|box)(\(\))?$",
    re.IGNORECASE,
)
"""Names of classes whose instances hold the settings that they are made of, and nothing else that a class asks for."""


_why: dict[str, str] = {}
"""For each name that a stand-in was given for, why it is missing, in words that follow the name."""


_NO_LENGTH: list[None] = []
"""Not empty while a stand-in that is asked for its length raises."""


@contextlib.contextmanager
def of_no_length() -> Iterator[None]:
    """While this is active a stand-in has no length: elsewhere it is empty, so that a file loads."""
    _NO_LENGTH.append(None)
    try:
        yield
    finally:
        _NO_LENGTH.pop()


class StandInUsed(ModuleNotFoundError):
    """A stand-in was asked for a value or given a tensor: what it stands for is needed after all."""

    def __init__(self, name: str) -> None:
        known = [
            missing
            for missing in _why
            if name == missing or name.startswith((f"{missing}.", f"{missing}(", f"{missing}["))
        ]
        missing = max(known, key=len, default=name.split(".")[0])
        needed = "" if missing == name else f"`{name}` is needed here, and "
        super().__init__(f"{needed}`{missing}` {_why.get(missing, 'is not installed')}", name=missing)


def missing(name: str, why: str) -> str:
    """`name`, for a stand-in of what is missing for that reason, in words that follow the name."""
    _why.setdefault(name, why)
    return name


def stood_in(names: Iterable[str]) -> str | None:
    """The first of these packages that a stand-in was given for."""
    return next((name for name in names if name in _why), None)


class Inert:
    """Stands for anything: every attribute, call and item of it is inert too."""

    def __init__(self, name: str) -> None:
        self.__dict__["_stands_for"] = name

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return "0"
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Inert(f"{self._stands_for}.{name}")

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if _holds_tensor((arguments, keywords)):
            raise StandInUsed(self._stands_for)
        if len(arguments) == 1 and not keywords and isinstance(arguments[0], (type, types.FunctionType)):
            return arguments[0]
        made = Inert(f"{self._stands_for}()")
        made.__dict__.update(_fields(self._stands_for, arguments, keywords))
        return made

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key in fields(self):
            return self.__dict__[key]
        found = Inert(f"{self._stands_for}[]")
        # An annotation says something by what it is indexed with, also where its package is missing.
        found.__dict__["_item"] = key
        return found

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        if _NO_LENGTH:
            raise StandInUsed(self._stands_for)
        return 0

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __contains__(self, item: Any) -> bool:
        return False

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __subclasscheck__(self, subclass: Any) -> bool:
        return False

    def __index__(self) -> int:
        raise StandInUsed(self._stands_for)

    def __float__(self) -> float:
        raise StandInUsed(self._stands_for)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        found = next(
            (item for item in trees.leaves((arguments, keywords or {}), _DEPTH) if isinstance(item, Inert)), None
        )
        raise StandInUsed(found._stands_for if found is not None else "a missing package")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """As a base class: a module where the name says so, else nothing."""
        last = self._stands_for.split(".")[-1]
        if not last.endswith(_MODULE_NAMES) or any(
            isinstance(base, type) and issubclass(base, nn.Module) for base in bases
        ):
            return ()
        return (LightningStandIn,) if last == "LightningModule" else (ModuleStandIn,)

    def __repr__(self) -> str:
        return f"<stand-in for {self._stands_for}>"


def _fields(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """What a record of settings holds that is made of these: `HParams(width=3)`, `EasyDict({"width": 3})`."""
    if _RECORD.search(name) is None or len(arguments) > 1:
        return {}
    held = dict(arguments[0]) if arguments and isinstance(arguments[0], dict) else {}
    held.update(keywords)
    return {key: item for key, item in held.items() if isinstance(key, str) and not key.startswith("_")}


def fields(value: Any) -> dict[str, Any]:
    """What the author's own code has put into a stand-in for a record of settings; empty for anything else."""
    if not isinstance(value, Inert) or _RECORD.search(value._stands_for) is None:
        return {}
    return {name: item for name, item in value.__dict__.items() if not name.startswith("_")}


def _inert_result(name: str) -> Any:
    def method(self: Inert, *others: Any) -> Any:
        if _holds_tensor(others):
            raise StandInUsed(self._stands_for)
        return Inert(f"{self._stands_for}")

    method.__name__ = name
    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "or", "and", "matmul"):
    setattr(Inert, f"__{_name}__", _inert_result(f"__{_name}__"))
    setattr(Inert, f"__r{_name}__", _inert_result(f"__r{_name}__"))


def _either(self: Inert, other: Any) -> Any:
    """``Float[Tensor, "b c"] | None`` stays the union that it is."""
    if "_item" in self.__dict__ and (other is None or isinstance(other, (type, Inert))):
        return Union[self, other]
    return _inert_result("__or__")(self, other)


for _name in ("or", "ror"):
    setattr(Inert, f"__{_name}__", _either)
for _name in ("neg", "invert"):
    setattr(Inert, f"__{_name}__", _inert_result(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Inert, f"__{_name}__", lambda self, other: False)


def _holds_tensor(value: Any) -> bool:
    return next(trees.tensors(value, _DEPTH), None) is not None


class ModuleStandIn(nn.Module):
    """The base of a class whose own base is missing and was a module, as its name says."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__()


class LightningStandIn(ModuleStandIn):
    """What constructors ask of a `LightningModule`."""

    def save_hyperparameters(self, *arguments: Any, **keywords: Any) -> None:
        """`self.hparams` gets the arguments of the constructor that calls this."""
        frame = sys._getframe(1)
        names = inspect.getargvalues(frame)
        values = {name: names.locals[name] for name in names.args[1:] if name in names.locals}
        values.update(names.locals.get(names.keywords, {}) if names.keywords else {})
        self.hparams = types.SimpleNamespace(**values)

    def log(self, *arguments: Any, **keywords: Any) -> None:
        return None

    def log_dict(self, *arguments: Any, **keywords: Any) -> None:
        return None

    @property
    def device(self) -> torch.device:
        return next((item.device for item in self.parameters()), torch.device("cpu"))


class StandInModule(types.ModuleType):
    """A missing module: whatever is asked of it is inert."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__all__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return "0"
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Inert(f"{self.__name__}.{name}")


class _WithStandIns:
    """A module some of whose names are missing, as a `from … import` statement reads it."""

    def __init__(self, module: Any, missing: Iterable[str]) -> None:
        self._module = module
        for name in missing:
            setattr(self, name, Inert(f"{module.__name__}.{name}"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class WatchedImports:
    """The `import` statement of one file of the user's: what is missing becomes a stand-in, named in `names`.

    An import in a `try` that handles its failure (`guarded` lines) fails as it would elsewhere, so that the author's
    own fallback serves, unless `lenient` is set. No other file sees a stand-in: a library that tries an optional
    import still gets its `ImportError`.
    """

    def __init__(
        self,
        names: list[str],
        guarded: frozenset[int],
        why_missing: Callable[[Any, str], str | None] = lambda module, name: None,
    ) -> None:
        self.names = names
        self.lenient = False
        self._guarded = guarded
        self._why_missing = why_missing

    def namespace(self) -> dict[str, Any]:
        """The built-in names for that file."""
        return {**vars(builtins), "__import__": self._import}

    def _import(
        self,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        strict = not self.lenient and sys._getframe(1).f_lineno in self._guarded
        try:
            module = builtins.__import__(name, globals, locals, fromlist, level)
        except Exception as error:
            if strict:
                raise
            return self._stand_in(name, fromlist, level, error)
        if strict or not fromlist or isinstance(module, StandInModule):
            return module
        missing = [item for item in fromlist if item != "*" and not hasattr(module, item)]
        if not missing:
            return module
        for item in missing:
            why = self._why_missing(module, item) or "is not in the version that is installed"
            self._note(f"{module.__name__}.{item}", why)
        return _WithStandIns(module, missing)

    def _stand_in(self, name: str, fromlist: Any, level: int, error: Exception) -> Any:
        """What the statement binds: the missing module, or its first part with the rest as attributes."""
        first, _, rest = name.partition(".")
        shown = "." * level + name if level or first in sys.modules else first
        absent = isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == first
        self._note(shown, "is not installed" if absent else f"cannot be imported ({_one_line(error)})")
        if fromlist or level:
            return StandInModule(name if not level else shown)
        top = sys.modules.get(first) or StandInModule(first)
        current: Any = top
        for part in rest.split(".") if rest else ():
            below = getattr(current, part, None)
            if below is None or isinstance(below, Inert):
                below = StandInModule(f"{current.__name__}.{part}")
                setattr(current, part, below)
            current = below
        return top

    def _note(self, name: str, why: str) -> None:
        _why.setdefault(name, why)
        if name not in self.names:
            self.names.append(name)


def _one_line(error: Exception) -> str:
    try:
        text = "".join(str(error).strip().splitlines()[:1])[:160]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}".rstrip(": .")
