"""Runs one report in a process of its own: builds the module from `init`, and forks once more for each run.

Limits on memory and time hold for whatever the module does. What comes back is JSON: the form of the output, or the
error. Rebuilds a run from the contract's text alone; knows nothing of the engine that wrote it.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.parity import surroundings

MEMORY = 6 << 30
SEED = 0
WAITING = 30.0
"""How many times longer than its work a process may take by the clock: others are at work too."""


class NotRebuilt(Exception):
    """The step at which the report's module could not be had again."""

    def __init__(self, step: str, error: str) -> None:
        super().__init__(error)
        self.step = step


@dataclass(frozen=True)
class Trial:
    """What a run gave: the form of its output, or an error. `limited`: it took more than it may."""

    output: Any
    error: str | None
    limited: bool = False


def text_of(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}"[:400].rstrip(": ")


def confine() -> None:
    """Limit this process and those it starts: memory, no core files, no output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.setrecursionlimit(3000)
    warnings.simplefilter("ignore")


def end_after(seconds: float) -> None:
    """End this process after so many seconds of its own work, or several times as many by the clock."""
    for clock, number, factor in (
        (signal.ITIMER_PROF, signal.SIGPROF, 1.0),
        (signal.ITIMER_REAL, signal.SIGALRM, WAITING),
    ):
        signal.signal(number, signal.SIG_DFL)
        signal.setitimer(clock, max(0.05, factor * seconds))


def end_never() -> None:
    """Undo `end_after`, for a process that only waits for others which end by themselves."""
    for clock in (signal.ITIMER_PROF, signal.ITIMER_REAL):
        signal.setitimer(clock, 0)


@dataclass(frozen=True)
class File:
    """A corpus file after it ran: its namespace, and the errors of statements that failed."""

    namespace: dict[str, Any]
    errors: Sequence[str]


def load(name: str, text: str, path: str | None = None) -> File:
    """Run a file where CUDA calls land on the CPU and packages that are not installed are stood in for."""
    surroundings.without_cuda()
    return File(*surroundings.load(name.removesuffix(".py"), text, path))


def rebuild(file: File, qualified: str, arguments: Mapping[str, str]) -> nn.Module:
    """The module of a report, in eval mode. Raises NotRebuilt."""
    found: Any = file.namespace.get(qualified.split(".")[0])
    for part in qualified.split(".")[1:]:
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise NotRebuilt("example-load", f"no such class; {'; '.join(file.errors[:2])}")
    cls: Any = found
    seed()
    evaluated: dict[str, Any] = {}
    for argument, expression in arguments.items():
        try:
            evaluated[argument] = eval(expression, file.namespace)
        except Exception as error:
            raise NotRebuilt("example-init", f"{text_of(error)} in `{expression[:120]}`") from None
    try:
        with torch.no_grad():
            module: nn.Module = _called(cls, cls.__init__, evaluated, bound=True)
            module.eval()
            return module
    except Exception as error:
        raise NotRebuilt("example-build", text_of(error)) from None


def _called(function: Callable[..., Any], signed: Callable[..., Any], given: Mapping[str, Any], bound: bool) -> Any:
    """`function` with arguments by name; ``*name`` and ``**name`` are spread. `bound`: the first parameter is self."""
    spread = next((name for name in given if name.startswith("*") and not name.startswith("**")), None)
    keywords = {name: value for name, value in given.items() if not name.startswith("*")}
    for name, value in given.items():
        if name.startswith("**"):
            keywords.update(value)
    positions: list[Any] = []
    try:
        parameters = list(inspect.signature(signed).parameters.values())[1 if bound else 0 :]
    except (TypeError, ValueError):
        return function(*given.values())
    for parameter in parameters:
        before = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if not before or parameter.name not in keywords:
            break
        positions.append(keywords.pop(parameter.name))
    if spread is not None:
        positions.extend(given[spread])
    return function(*positions, **keywords)


def seed() -> None:
    random.seed(SEED)
    torch.manual_seed(SEED)


def make(value: Any, namespace: dict[str, Any]) -> Any:
    """A real value from the contract's nested form."""
    if "tensor" in value:
        return _tensor(value)
    if "list" in value:
        return [make(item, namespace) for item in value["list"]]
    if "tuple" in value:
        return tuple(make(item, namespace) for item in value["tuple"])
    if "dict" in value:
        return {key: make(item, namespace) for key, item in value["dict"].items()}
    return eval(value["expr"], namespace)


def _tensor(value: Mapping[str, Any]) -> torch.Tensor:
    dtype: torch.dtype = getattr(torch, value.get("dtype", "float32"))
    dims = value["tensor"]
    if dtype is torch.bool:
        return torch.rand(dims) < 0.5
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(dims, dtype=dtype)
    return torch.randint(value.get("low", 0), value.get("high", 1) + 1, dims, dtype=dtype)


def form(value: Any, depth: int = 0) -> Any:
    """An output in the contract's nested form: tensors by dims and dtype, others by the name of their type."""
    if isinstance(value, torch.Tensor):
        return {"tensor": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, (list, tuple)) and depth < 12:
        return {"list" if isinstance(value, list) else "tuple": [form(item, depth + 1) for item in value]}
    if isinstance(value, dict) and depth < 12:
        return {"dict": {str(key): form(item, depth + 1) for key, item in value.items()}}
    return {"type": "None" if value is None else type(value).__name__}


def run(module: nn.Module, namespace: dict[str, Any], inputs: Mapping[str, Any], seconds: float) -> Trial:
    """`forward` on these inputs, in a process of its own that leaves the module as it was."""

    return isolated(lambda: module, lambda module: call(module, type(module).forward, namespace, inputs), seconds)


def call(module: Any, forward: Callable[..., Any], namespace: dict[str, Any], inputs: Mapping[str, Any]) -> Any:
    """`module` on fresh inputs of the contract's form, as the signature of `forward` takes them."""
    made = {name: make(value, namespace) for name, value in inputs.items()}
    return _called(module, forward, made, bound=True)


def isolated(build: Callable[[], Any], call: Callable[[Any], Any], seconds: float) -> Trial:
    """What `call` gives for what `build` makes, both in a process of their own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        end_after(seconds)
        with os.fdopen(writing, "w") as pipe:
            json.dump(_in_child(build, call), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    try:
        return Trial(**json.loads(text))
    except ValueError:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        limited = number in (signal.SIGALRM, signal.SIGPROF, signal.SIGKILL)
        return Trial(None, f"killed by signal {number}" if number else "the process ended", limited)


def _in_child(build: Callable[[], Any], call: Callable[[Any], Any]) -> dict[str, Any]:
    try:
        seed()
        with torch.no_grad():
            made = build()
            seed()
            output = call(made)
        return {"output": form(output), "error": None}
    except MemoryError:
        return {"output": None, "error": "MemoryError", "limited": True}
    except BaseException as error:
        text = text_of(error)
        return {"output": None, "error": text, "limited": "can't allocate memory" in text}


def remaining(seconds: float) -> Callable[[], float]:
    """How many seconds of work are left to this process and those it has waited for, from now on."""

    def spent() -> float:
        used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(item.ru_utime + item.ru_stime for item in used)

    end = spent() + seconds
    return lambda: end - spent()
