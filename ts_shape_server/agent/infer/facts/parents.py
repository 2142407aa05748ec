"""What a class gets when another class that makes it runs: the parent is solved, run once, and its parts are watched.

Constructor arguments are spelled as expressions in the part's own namespace, inputs by dims and dtype. A parent that
fails is no evidence. Each parent is run once in a process, whichever of its parts is asked about. Knows nothing of
files: whoever asks says how a class of another file is found.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, TypeVar

import torch
from torch import nn

from ts_shape_server.agent import runs, shares
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.facts import constructions
from ts_shape_server.agent.infer.facts.evidence import Drawn
from ts_shape_server.agent.infer.guesses import portable, values
from ts_shape_server.agent.infer.running import direct_calls, instances
from ts_shape_server.agent.infer.running.memory import SkipInitialisation
from ts_shape_server.agent.infer.running.session import Session
from ts_shape_server.contract.asked import ParentAsked

MAXIMUM = 4
"""Different constructions of one part that are kept."""

_T = TypeVar("_T")
Find = Callable[[str, str], "tuple[type[nn.Module], Context] | None"]
Solve = Callable[[type[nn.Module], ParentAsked, Context], Iterable[Any]]


@dataclass
class Parents:
    """What has been seen so far, by class. `find` gives a class of the workspace by path and name, with its context;
    `wanted` are the parents of the classes that will be asked about.
    """

    find: Find
    wanted: frozenset[tuple[str, str]] = frozenset()
    _seen: dict[type, list[Drawn]] = field(default_factory=dict)
    _done: set[tuple[str, str]] = field(default_factory=set)

    def of(self, cls: type[nn.Module], parents: Sequence[ParentAsked], context: Context, solve: Solve) -> list[Drawn]:
        """What the parents of a class gave to it; those that were not yet run are, the outermost first."""
        until = now() + shares.PARENTS.of(context.remaining())
        for parent in parents:
            key = parent.path, parent.name
            left = until - now()
            if sum(bool(item.inputs) for item in self._seen.get(cls, ())) >= MAXIMUM:
                # More are not kept.
                break
            if key in self._done or left <= 0:
                continue
            self._done.add(key)
            try:
                with time_limit(shares.PARENT.of(left)):
                    self._solve(parent, key, solve, cls)
            except (Exception, TimeLimit, SystemExit):
                continue
        return _ordered(cls, self._seen.get(cls, []))

    def _solve(self, parent: ParentAsked, key: tuple[str, str], solve: Solve, part: type[nn.Module]) -> None:
        found = self.find(*key)
        if found is None:
            return
        cls, context = found
        if cls in self._seen and any(item.inputs for item in self._seen.get(part, ())):
            # It has run as a part of another, and its own parts with it.
            return
        for known in solve(cls, parent, context):
            self.record(cls, known, context)

    def note(self, cls: type[nn.Module], name: str, solved: Any, context: Context) -> None:
        """Keep what a class that was solved for itself, or was not, gives to its parts, if they will be asked about."""
        key = context.path, name
        if key in self.wanted and key not in self._done:
            self._done.add(key)
            with contextlib.suppress(Exception, TimeLimit, SystemExit), time_limit(shares.RECORDED_PARENT):
                self.record(cls, solved, context)

    def record(self, cls: type[nn.Module], solved: Any, context: Context) -> None:
        """Build the solved class once more and run it, with an eye on the parts whose classes are the workspace's. One
        that builds with the author's own arguments, and for which there are no inputs, says how its parts are made.
        """
        ran = hasattr(solved, "session")
        if not ran and not hasattr(solved, "built"):
            return
        session, plan = (solved.session, solved.plan) if ran else (solved.built.session, solved.built.plan)
        parts = {type(item) for item in session.module.modules()} - {cls}
        if not any(_is_of(item, context.root) for item in parts):
            return
        with contextlib.ExitStack() as stack:
            made = {item: stack.enter_context(constructions.watched(item)) for item in parts if _can_be_watched(item)}
            session = _built(cls, session, plan, context)
            known = {id(item.instance): item for every in made.values() for item in every}
        kept = [item for item in session.module.modules() if _is_of(type(item), context.root) and type(item) is not cls]
        calls: dict[int, dict[str, Any]] = {}
        if ran:
            with _watched_calls(kept, calls):
                session.concrete(solved.found.inputs)
        numbers = _numbers(solved.found.inputs) if ran else {}
        label = f"a run of {cls.__name__}" if ran else f"the constructor of {cls.__name__}"
        for part in kept:
            own = vars(sys.modules[type(part).__module__])
            construction = known.get(id(part)) or _sole(made.get(type(part), []))
            init = None if construction is None else _spelled_call(construction, known, own)
            given = calls.get(id(part))
            inputs = None if given is None else _inputs(type(part), given, numbers, own, label)
            if inputs and any(_is_function(item.guess) for item in inputs.values()):
                inputs = inputs if init is not None and _runs(type(part), init, inputs, own) else None
            if init is not None:
                drawn = Drawn(label, "parent", context.path, 0, init, inputs)
                self._keep(type(part), drawn, own)

    def _keep(self, cls: type[nn.Module], drawn: Drawn, own: Mapping[str, Any]) -> None:
        """One way of making and calling a part; what may be left out is no part of the plainest call."""
        every = self._seen.setdefault(cls, [])
        if any((item.init, item.inputs) == (drawn.init, drawn.inputs) for item in every):
            return
        every.append(drawn)
        needed = _needed(cls, drawn.inputs or {})
        if drawn.inputs and len(needed) < len(drawn.inputs) and _runs(cls, drawn.init or {}, needed, own):
            self._keep(cls, replace(drawn, inputs=needed), own)


def _runs(
    cls: type[nn.Module], init: Mapping[str, str], inputs: Mapping[str, values.InputGuess], own: Mapping[str, Any]
) -> bool:
    session = instances.build(cls, dict(init), own, True)
    return session.concrete(tuple(inputs.values())).error is None


def _is_function(guess: values.Guess) -> bool:
    return isinstance(guess, values.ConstantGuess) and guess.type == "Callable"


def _built(cls: type[nn.Module], before: Session, plan: Mapping[str, str], context: Context) -> Session:
    """The parent, made anew: on real memory, with large weights all alike, where it reads values."""
    if not before.real_only:
        return instances.build(cls, plan, context.namespace, True)

    def make() -> nn.Module:
        with SkipInitialisation(fill=0.01), torch.no_grad():
            return runs.in_eval(runs.build(cls, plan, context.namespace))

    module = make()
    return Session(cls, context.namespace, None, None, lambda: module)


def _needed(cls: type[nn.Module], inputs: Mapping[str, _T]) -> dict[str, _T]:
    """The inputs without those that `forward` has a default for."""
    parameters = inspect.signature(cls.forward).parameters
    empty = inspect.Parameter.empty
    return {name: item for name, item in inputs.items() if name in parameters and parameters[name].default is empty}


def _is_of(cls: type, root: str) -> bool:
    """Whether a class is defined in a file of the workspace."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return isinstance(file, str) and bool(root) and file.startswith(root) and "site-packages" not in file


def _can_be_watched(cls: type) -> bool:
    return "__init__" in dir(cls) and not issubclass(cls, torch.jit.ScriptModule)


@contextlib.contextmanager
def _watched_calls(parts: Sequence[nn.Module], calls: dict[int, dict[str, Any]]) -> Iterator[None]:
    """The first call of each part, by parameter."""

    def note(module: nn.Module, given: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if id(module) not in calls:
            with contextlib.suppress(TypeError):
                bound = runs.forward_signature(type(module)).bind(*given, **keywords)
                calls[id(module)] = dict(_by_parameter(bound))

    def direct(module: nn.Module, given: tuple[Any, ...], keywords: dict[str, Any], _: Any, __: FrameType) -> None:
        note(module, given, keywords)

    handles = [part.register_forward_pre_hook(note, with_kwargs=True) for part in parts]
    try:
        with direct_calls.watched(parts, direct):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _by_parameter(bound: inspect.BoundArguments) -> Iterator[tuple[str, Any]]:
    """What was passed; a None says nothing of what else may go in."""
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            yield from ((key, item) for key, item in value.items() if item is not None)
        elif value is not None:
            yield ("*" + name if kind is inspect.Parameter.VAR_POSITIONAL else name), value


def _sole(made: Sequence[constructions.Construction]) -> constructions.Construction | None:
    """The one construction that copies come from."""
    return made[0] if len(made) == 1 else None


def _spelled_call(
    made: constructions.Construction, known: Mapping[int, constructions.Construction], own: Mapping[str, Any]
) -> dict[str, str] | None:
    """Expressions by parameter; None if a value has no spelling, or goes into a variadic parameter."""
    try:
        bound = made.signature.bind(made.instance, *made.arguments, **made.keywords)
    except TypeError:
        return None
    result: dict[str, str] = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            pairs = dict(value)
        else:
            pairs = {("*" + name if kind is inspect.Parameter.VAR_POSITIONAL else name): value}
        for key, item in pairs.items():
            text = _spelled(list(item) if key.startswith("*") else item, known, own)
            if text is None or len(text) > portable.MAXIMUM_LENGTH:
                return None
            result[key] = text
    return result


def _spelled(
    value: Any, known: Mapping[int, constructions.Construction], own: Mapping[str, Any], depth: int = 0
) -> str | None:
    """A value as an expression: a module by its own construction, all else by its value."""
    if depth > portable.DEPTH:
        return None
    if isinstance(value, nn.Module):
        made, name = known.get(id(value)), portable.by_name(type(value), own)
        if made is None or name is None:
            return None
        parts = [_spelled(item, known, own, depth + 1) for item in made.arguments]
        named = {key: _spelled(item, known, own, depth + 1) for key, item in made.keywords.items()}
        if any(part is None for part in (*parts, *named.values())):
            return None
        texts = [*(str(part) for part in parts), *(f"{key}={part}" for key, part in named.items())]
        return f"{name}({', '.join(texts)})"
    if type(value) in (list, tuple) and any(isinstance(item, nn.Module) for item in value):
        items = [_spelled(item, known, own, depth + 1) for item in value]
        if any(item is None for item in items):
            return None
        inner = ", ".join(str(item) for item in items)
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)"
    return portable.of_value(value, own)


Numbers = Mapping[tuple[int, ...], tuple[int, int]]
"""The ranges of the integer tensors that go into the parent, by their sizes, which tell one that is passed on."""


def _numbers(inputs: values.Inputs) -> Numbers:
    return {item.dims: (item.low, item.high) for item in values.all_tensors(inputs) if "int" in item.dtype}


def _inputs(
    cls: type[nn.Module], given: Mapping[str, Any], numbers: Numbers, own: Mapping[str, Any], label: str
) -> dict[str, values.InputGuess] | None:
    """The guesses by parameter; None if one of the values that have to be passed is nothing that can be told."""
    needed = _needed(cls, given)
    result: dict[str, values.InputGuess] = {}
    for name, value in given.items():
        guess = _guess(list(value) if name.startswith("*") else value, numbers, own)
        if guess is None and (name in needed or name.startswith("*")):
            return None
        if guess is None:
            continue
        result[name] = values.InputGuess(name, guess, label)
    return result


def _guess(value: Any, numbers: Numbers, own: Mapping[str, Any]) -> values.Guess | None:
    """A tensor by its dims and dtype alone: in the parent's run it may have no values."""
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).replace("torch.", "")
        dims = tuple(int(size) for size in value.shape)
        low, high = numbers.get(dims, (0, 1)) if "int" in dtype else (0, 1)
        return values.TensorGuess(dims, dtype, low, high)
    if type(value) in (list, tuple):
        items = [_guess(item, numbers, own) for item in value]
        if any(item is None for item in items):
            return None
        kind = "list" if isinstance(value, list) else "tuple"
        return values.SequenceGuess(tuple(item for item in items if item is not None), kind)
    if type(value) is dict and all(isinstance(key, str) for key in value):
        pairs = [(key, _guess(item, numbers, own)) for key, item in value.items()]
        if any(item is None for _, item in pairs):
            return None
        return values.DictGuess(tuple((key, item) for key, item in pairs if item is not None))
    known = values.from_value(value, own)
    if known is None and callable(value) and not isinstance(value, type):
        # A layer or a function that is passed on: one that gives what it gets stands in its place.
        return values.FUNCTION
    return known


def _ordered(cls: type[nn.Module], seen: Sequence[Drawn]) -> list[Drawn]:
    """Those with inputs first, and of these the constructions that are nearest to the class's own defaults."""
    try:
        parameters = inspect.signature(cls.__init__).parameters
    except (TypeError, ValueError):
        return list(seen[:MAXIMUM])

    def rank(item: Drawn) -> tuple[bool, int, int]:
        inputs = item.inputs or {}
        init = item.init or {}
        defaults = {name: parameters[name].default for name in init if name in parameters}
        given = {name: value for name, value in defaults.items() if value is not inspect.Parameter.empty}
        changed = sum(init[name] != repr(value) for name, value in given.items())
        return not inputs, changed, len(inputs)

    return sorted(seen, key=rank)[:MAXIMUM]
