"""Where a corpus file runs outside of the tool: stand-ins for what is not installed, CUDA on the CPU, absent weights.

All of it is the benchmark's own, so that a report which holds in the tool's surroundings alone is found out. The
corpus' helper module is spelled here as its files use it. Knows nothing of reports.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import model_zoo

HELPERS = "_paritybench_helpers"
_MODULE_WORDS = ("module", "model", "layer", "net", "network", "block", "backbone", "encoder", "decoder", "mixin")


class MissingPackage(RuntimeError):
    """What stands in for a package that is not installed was needed after all."""


class Absent:
    """Stands for anything of a package that is not installed, until a number or a tensor meets it."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Absent(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if any(isinstance(item, torch.Tensor) for item in _flat([*arguments, *keywords.values()])):
            raise MissingPackage(self._name)
        if len(arguments) == 1 and not keywords and isinstance(arguments[0], (type, types.FunctionType)):
            return arguments[0]
        return Absent(f"{self._name}()")

    def __getitem__(self, key: Any) -> Any:
        return Absent(f"{self._name}[]")

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

    def __index__(self) -> int:
        raise MissingPackage(self._name)

    __float__ = __int__ = __index__

    @classmethod
    def __torch_function__(cls, function: Any, kinds: Any, arguments: Any = (), keywords: Any = None) -> Any:
        raise MissingPackage(f"{getattr(function, '__name__', 'torch')} on a stand-in")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        last = self._name.split(".")[-1].lower()
        known = any(isinstance(base, type) and issubclass(base, nn.Module) for base in bases)
        return (AbsentModule,) if last.endswith(_MODULE_WORDS) and not known else ()


class AbsentModule(nn.Module):
    """The base of a class whose own base is of a package that is not installed."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__()

    def save_hyperparameters(self, *arguments: Any, **keywords: Any) -> None:
        return None


class AbsentPackage(types.ModuleType):
    """A package that is not installed."""

    __path__: list[str] = []  # noqa: RUF012  # as modules have it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")


class Config(dict):  # type: ignore[type-arg]  # as the corpus has it: keys of anything
    """The corpus' `_mock_config`: a dict whose keys are attributes; none that nobody has set."""

    __getattr__ = dict.__getitem__


class _Layer(nn.ReLU):
    expansion = 1


def _layer(in_features: Any = None, out_features: Any = None, *arguments: Any, **keywords: Any) -> nn.Module:
    """The corpus' `_mock_layer`."""
    return nn.Linear(in_features, out_features, **keywords) if in_features and out_features else _Layer()


def _merge_functional() -> None:
    """The corpus' `patch_functional`: `torch.functional` and `torch.nn.functional` know each other's names."""
    for source, target in ((torch.functional, nn.functional), (nn.functional, torch.functional)):
        for name in dir(source):
            if name[0].islower() and not hasattr(target, name):
                setattr(target, name, getattr(source, name))


def helpers() -> types.ModuleType:
    """The module that every corpus file imports."""
    module = types.ModuleType(HELPERS)
    module.__dict__.update(
        _mock_config=Config, _mock_layer=_layer, patch_functional=_merge_functional, _paritybench_base=object
    )
    module.__dict__["_fails_compile"] = lambda: lambda function: function
    return module


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)
    else:
        yield value


# ---- loading


class Importer:
    """The `import` statement of a corpus file. An import that the file itself guards fails as it would elsewhere."""

    def __init__(self, tree: ast.Module) -> None:
        self._helpers = helpers()
        self._guarded = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.Try) and node.handlers
            for inner in node.body
            for line in range(inner.lineno, (inner.end_lineno or inner.lineno) + 1)
        }

    def __call__(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name == HELPERS:
            return self._helpers
        guarded = sys._getframe(1).f_lineno in self._guarded
        try:
            module = builtins.__import__(name, globals, locals, fromlist, level)
        except Exception:
            if guarded:
                raise
            return self._absent(name, fromlist)
        missing = [item for item in fromlist or () if item != "*" and not hasattr(module, item)]
        if not missing or guarded:
            return module
        copy = types.ModuleType(module.__name__)
        copy.__dict__.update({item: getattr(module, item, Absent(f"{name}.{item}")) for item in fromlist})
        return copy

    @staticmethod
    def _absent(name: str, fromlist: Any) -> Any:
        first, _, rest = name.partition(".")
        if fromlist or not rest:
            return AbsentPackage(name)
        top = sys.modules.get(first) or AbsentPackage(first)
        current: Any = top
        for part in rest.split("."):
            below = current.__dict__.get(part)
            if below is None:
                below = AbsentPackage(f"{current.__name__}.{part}")
                setattr(current, part, below)
            current = below
        return top


def load(name: str, text: str, path: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """The namespace of a file after its statements ran one by one, and the errors of those that failed.

    `path` is where the text lies, for those who look for the source of what is in it.
    """
    tree = ast.parse(text)
    module = types.ModuleType(name)
    module.__file__ = path or f"{name}.py"
    sys.modules[name] = module
    path = path or f"<{name}>"
    linecache.cache[path] = (len(text), None, text.splitlines(True), path)
    namespace = module.__dict__
    namespace["__builtins__"] = {**vars(builtins), "__import__": Importer(tree)}
    errors: list[str] = []
    for statement in tree.body:
        try:
            _execute(statement, path, namespace)
        except Exception as error:
            bare = _bare(statement)
            try:
                if bare is None:
                    raise error
                _execute(bare, path, namespace)
            except Exception:
                errors.append(f"line {statement.lineno}: {type(error).__name__}: {error}"[:200])
    return namespace, errors


def _execute(statement: ast.stmt, path: str, namespace: dict[str, Any]) -> None:
    exec(compile(ast.Module([statement], []), path, "exec", dont_inherit=True), namespace)


def _bare(statement: ast.stmt) -> ast.stmt | None:
    """A definition without its decorators, which may be of a package that is not installed."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and statement.decorator_list:
        fields: dict[str, Any] = {**dict(ast.iter_fields(statement)), "decorator_list": []}
        return ast.copy_location(type(statement)(**fields), statement)
    return None


# ---- the machine that the files were written for


class _OnCpu(TorchFunctionMode):
    """What asks for an accelerator gets the CPU."""

    def __torch_function__(
        self, function: Any, kinds: Any, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if name == "cuda":
            return arguments[0]
        if name == "get_device":
            return -1
        changed = {key: _cpu(item) if key == "device" else item for key, item in (keywords or {}).items()}
        if name in ("to", "type"):
            arguments = [arguments[0], *map(_cpu, arguments[1:])]
        return function(*arguments, **changed)


def _cpu(value: Any) -> Any:
    if isinstance(value, str):
        return "cpu" if value.split(":")[0] == "cuda" else value.replace("torch.cuda.", "torch.")
    if isinstance(value, torch.device):
        return torch.device("cpu") if value.type == "cuda" else value
    return "cpu" if isinstance(value, int) and not isinstance(value, bool) else value


class _Nothing:
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        return None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def without_cuda() -> None:
    """From here on this process has no CUDA and no downloads, and code that asks for them goes on."""
    if not torch.cuda.is_available():
        _OnCpu().__enter__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        usual_to: Any = nn.Module.to
        changes: dict[Any, dict[str, Any]] = {
            nn.Module: {
                "cuda": lambda self, *arguments: self,
                "to": lambda self, *arguments, **keywords: usual_to(
                    self, *map(_cpu, arguments), **{key: _cpu(item) for key, item in keywords.items()}
                ),
            },
            torch.Tensor: {"cuda": lambda self, *arguments, **keywords: self},
            torch.cuda: {
                "device": _Nothing,
                "stream": _Nothing,
                "current_device": lambda: 0,
                "set_device": lambda device: None,
                "synchronize": lambda device=None: None,
                "empty_cache": lambda: None,
                **{
                    f"{kind}Tensor": getattr(torch, f"{kind}Tensor")
                    for kind in ("Float", "Long", "Int", "Byte", "Double", "Half")
                },
            },
        }
        for owner, members in changes.items():
            for name, member in members.items():
                setattr(owner, name, member)
    _without_downloads()


class Weights(dict):  # type: ignore[type-arg]  # a state dict of anything
    """Weights that would be downloaded or read from a file that is not there: they load into any module."""

    def __missing__(self, key: Any) -> Any:
        return Weights()


def _without_downloads() -> None:
    usual_load: Any = torch.load
    usual_load_state_dict: Any = nn.Module.load_state_dict
    pretended: list[str] = []

    def pretend(*arguments: Any, **keywords: Any) -> Weights:
        pretended.append(str(arguments[0]) if arguments else "weights")
        return Weights()

    def load(file: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            return usual_load(file, *arguments, **keywords)
        except (FileNotFoundError, IsADirectoryError):
            return pretend(file)

    def load_state_dict(self: nn.Module, state: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(state, Weights) or (pretended and not state):
            return None
        return usual_load_state_dict(self, state, *arguments, **keywords)

    members: dict[Any, dict[str, Any]] = {
        torch: {"load": load},
        torch.hub: {"load_state_dict_from_url": pretend},
        model_zoo: {"load_url": pretend},
        nn.Module: {"load_state_dict": load_state_dict},
    }
    for owner, changes in members.items():
        for name, member in changes.items():
            setattr(owner, name, member)
