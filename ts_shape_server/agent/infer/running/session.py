"""One instance of the class under test and the ways to run it: on fake tensors, on symbolic ones, on real ones.

A run never raises what user code raises: the error is part of its `Outcome`. A module that keeps state between calls is
put back as it was. Knows nothing of how guesses are made.
"""

from __future__ import annotations

import dataclasses
import dis
import operator
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import clock, runs, torch_says, trees
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import causal_masks, lazy, symbolic
from ts_shape_server.agent.infer.running.spy import Spy, Wish
from ts_shape_server.agent.standins import StandInUsed
from ts_shape_server.agent.torch_says import interpreter, needs_values


@dataclass(frozen=True)
class Outcome:
    """What a run gave. `steps` counts torch calls, a measure of how far it came. `guards` are of symbolic runs only.

    `indexes`: values of tensors chose places in others; a run on fake tensors does not see whether these exist.
    """

    error: BaseException | None
    output: Any = None
    steps: int = 0
    wishes: Mapping[int, Wish] = field(default_factory=dict)
    guards: tuple[symbolic.Guard, ...] = ()
    size: Callable[[Any], Any] = int
    last_call: str = ""
    indexes: bool = False
    work: int = 0
    """Products that the run's convolutions and matrix products take on real tensors."""
    folds: tuple[tuple[tuple[Any, ...], int], ...] = ()
    """The views that leave the rows to torch: the sizes of an item before, and how many numbers a row has."""

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def needs_data(self) -> bool:
        """The run asked for a tensor's values, which fake tensors do not have."""
        return needs_values(self.error)


NOTHING_TRIED = Outcome(RuntimeError("nothing was tried"))


class Session:
    """Runs of one class with one set of constructor arguments.

    `make_fake` builds the instance inside a fake mode (None where its constructor reads values of tensors),
    `make_real` builds one on real memory, on demand; `make_light` does so without random values, which is quicker.
    """

    def __init__(
        self,
        cls: type[nn.Module],
        namespace: Mapping[str, Any],
        mode: Any,
        fake: nn.Module | None,
        make_real: Callable[[], nn.Module],
        make_light: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.cls = cls
        self.namespace = namespace
        self._mode = mode
        self._fake = fake
        self._make_real = make_real
        self._make_light = make_light
        self._real: nn.Module | None = None
        self._light: nn.Module | None = None
        self.real_only = mode is None
        self.count = 0
        self._before: State | None = None
        self._lazy: list[nn.Module] = []
        self._remembered: dict[Any, Any] | None = {}
        """What calls on tensors of these sizes gave; None once the module was seen to reshape tensors in place."""

    @property
    def module(self) -> nn.Module:
        """The instance that fake runs use: without memory where its constructor allows."""
        if self._fake is not None and not self.real_only:
            return self._fake
        return self.real

    @property
    def real(self) -> nn.Module:
        """An instance in real memory. Raises what the constructor raises."""
        if self._real is None:
            self._real = self._make_real()
        return self._real

    def concrete(self, inputs: values.Inputs, observers: Sequence[Any] = ()) -> Outcome:
        """Run on tensors of the guessed sizes: fake ones, or real ones once the module has asked for values."""
        if not self.real_only:
            outcome = self._twice(lambda: self._fake_run(inputs, observers))
            if interpreter.is_silent(outcome.error):
                outcome = dataclasses.replace(outcome, error=self.on_real(inputs).error or outcome.error)
            if not outcome.needs_data:
                return outcome
            on_real = self.on_real(inputs, observers)
            if on_real.ok or on_real.steps > outcome.steps:
                self.real_only = True
            return on_real
        return self.on_real(inputs, observers)

    def in_training(self, inputs: values.Inputs) -> Outcome:
        """A run of the module as it is trained, in which it may go another way than in eval mode."""
        before = [(part, part.training) for part in (self.real if self.real_only else self.module).modules()]
        remembered, self._remembered = self._remembered, None
        for part, _ in before:
            part.training = True
        try:
            return self.concrete(inputs)
        finally:
            self._remembered = remembered
            for part, training in before:
                part.training = training

    def confirms(self, inputs: values.Inputs) -> bool:
        """Whether the inputs run on real tensors too, through an instance whose large weights are all alike.

        False says nothing yet: values may matter.
        """
        if self._make_light is None or self._real is not None:
            return False
        return all(self.quickly(inputs, draw).ok for draw in values.draws(inputs))

    def quickly(self, inputs: values.Inputs, draw: int = 0, integers: Sequence[torch.Tensor] = ()) -> Outcome:
        """Run on real tensors, through the instance whose large weights are all alike if there is no other yet.

        `integers` are the integer tensors among the inputs, in their order, where their very values matter.
        """
        if self._make_light is None or self._real is not None:
            return self.on_real(inputs, draw=draw, integers=integers)
        try:
            if self._light is None:
                self._light = self._make_light()
            runs.seed(draw)
            made = self._build(inputs, _maker(draw, integers))
        except Exception as error:
            return Outcome(error)
        return self._call(self._light, made, ())

    def on_real(
        self,
        inputs: values.Inputs,
        observers: Sequence[Any] = (),
        draw: int = 0,
        integers: Sequence[torch.Tensor] = (),
    ) -> Outcome:
        """Run on real tensors, for each draw on other values but for `integers`, as in `quickly`."""
        try:
            module = self.real
            runs.seed(draw)
            made = self._build(inputs, _maker(draw, integers))
        except Exception as error:
            return Outcome(error)
        return self._call(module, made, observers)

    def symbolic(self, inputs: values.Inputs, observers: Sequence[Any] = ()) -> Outcome:
        """Run on tensors whose every dim is a symbol ``s0`` …, with the guessed sizes as hints."""
        if self.real_only:
            return Outcome(RuntimeError("no symbolic run: the module reads values of tensors"))
        return self._twice(lambda: self._symbolic_run(inputs, observers))

    def _twice(self, run: Callable[[], Outcome]) -> Outcome:
        """A run, and once more if it was the first to show that shortcuts are not for this module."""
        allowed = self._remembered is not None
        outcome = run()
        return run() if allowed and self._remembered is None else outcome

    def _symbolic_run(self, inputs: values.Inputs, observers: Sequence[Any]) -> Outcome:
        try:
            reals = [torch.empty(item.dims, dtype=getattr(torch, item.dtype)) for item in values.all_tensors(inputs)]
        except RuntimeError as refused:
            # No memory for them: what the module's own code keeps is not this run's to end.
            return Outcome(refused)
        kept: list[Outcome] = []

        def call(twins: list[Any], plainer: Callable[[Any], Any]) -> Any:
            remaining = iter(twins)
            made = self._build(inputs, lambda _: next(remaining))
            remembered: dict[Any, Any] | None = None if self._remembered is None else {}
            kept.append(self._call(self.module, made, observers, remembered, plainer))

        symbols, _, error = symbolic.run(self._mode, reals, call)
        outcome = kept[0] if kept else Outcome(error)
        return Outcome(
            outcome.error,
            outcome.output,
            outcome.steps,
            outcome.wishes,
            symbols.guards(),
            symbols.size,
            outcome.last_call,
            folds=outcome.folds,
        )

    def _fake_run(self, inputs: values.Inputs, observers: Sequence[Any]) -> Outcome:
        with self._mode:
            try:
                made = self._build(inputs, lambda item: torch.empty(item.dims, dtype=getattr(torch, item.dtype)))
            except Exception as error:
                return Outcome(error)
            return self._call(self.module, made, observers, self._remembered)

    def _state(self, module: nn.Module) -> State:
        """What `module` holds before its runs. Each run leaves it so, hence it is read once."""
        if self._before is None or self._before[0][0] is not module:
            self._before, self._lazy = _state(module), lazy.of_libraries(module)
        return self._before

    def _build(self, inputs: values.Inputs, make: Callable[[values.TensorGuess], Any]) -> _BuiltInputs:
        made = _BuiltInputs()
        for item in inputs:
            own: list[torch.Tensor] = []

            def kept(guess: values.TensorGuess, own: list[torch.Tensor] = own) -> Any:
                own.append(make(guess))
                return own[-1]

            made[item.name] = values.build(item.guess, kept, lambda text: runs.evaluate(text, self.namespace))
            made.tensors += list(trees.tensors(made[item.name], fields=True)) or own
        return made

    def _call(
        self,
        module: nn.Module,
        made: _BuiltInputs,
        observers: Sequence[Any],
        remembered: dict[Any, Any] | None = None,
        plainer: Callable[[Any], Any] | None = None,
    ) -> Outcome:
        self.count += 1
        arguments, keywords = runs.positional(self.cls, made)
        spy = Spy(made.tensors, remembered, plainer)
        before: State = []
        try:
            before = self._state(module)
            if self._lazy:
                lazy.begin(self._lazy, any(map(symbolic.is_fake, made.tensors)))
            with ExitStack() as stack:
                stack.enter_context(clock.ending_itself())
                stack.enter_context(torch.no_grad())
                stack.enter_context(lazy.first_calls())
                stack.enter_context(causal_masks.unread())
                stack.enter_context(spy)
                for observer in observers:
                    stack.enter_context(observer)
                output = module(*arguments, **keywords)
        except Exception as error:
            if clock.came_of_a_limit(error):
                raise clock.TimeLimit().with_traceback(error.__traceback__) from error
            _release(error)
            told = interpreter.inner(error)
            return Outcome(told, None, spy.steps, spy.wishes, last_call=spy.last_call, folds=tuple(spy.folds))
        finally:
            _restore(before)
            if spy.unsafe:
                self._remembered = None
        return Outcome(None, output, spy.steps, spy.wishes, last_call=spy.last_call, indexes=spy.indexes, work=spy.work)


class _BuiltInputs(dict[str, Any]):
    """Inputs by name. `tensors` are those in them, also where an object of a library holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[torch.Tensor] = []


def _release(error: BaseException | None) -> None:
    """Let go of what the frames of an error hold: outcomes are kept for long, and tensors of real runs are large."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


State = list[tuple[nn.Module, dict[str, Any], dict[str, dict[str, Any]]]]
_TABLES = (
    *("_buffers", "_parameters", "_modules"),
    *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
)
"""Where a module keeps its parts and hooks; a scripted one keeps them elsewhere. What registers hooks at the first call
remembers that in an attribute: both are put back, or the next run registers them twice.
"""


def _state(module: nn.Module) -> State:
    """Shallow copies of what each submodule holds: attributes, and its buffers, parameters, submodules and hooks."""
    return [
        (part, dict(part.__dict__), {key: dict(part.__dict__[key]) for key in _TABLES if key in part.__dict__})
        for part in module.modules()
    ]


def _restore(state: State) -> None:
    for part, attributes, tables in state:
        _put_back(part.__dict__, attributes)
        for key, table in tables.items():
            _put_back(part.__dict__[key], table)


def _put_back(current: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Most runs leave a module as it was, and to see that takes less than to make it so."""
    if len(current) != len(before) or not all(map(operator.is_, current.values(), before.values())):
        current.clear()
        current.update(before)


def innermost_line(error: BaseException, path: str) -> int | None:
    """The line of `path` nearest to where the error was raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else None


def _maker(draw: int, integers: Sequence[torch.Tensor]) -> Callable[[values.TensorGuess], torch.Tensor]:
    """What makes the tensor of a guess, of an integer one the next of `integers`."""
    left = iter(integers)

    def make(guess: values.TensorGuess) -> torch.Tensor:
        known = next(left, None) if "int" in guess.dtype else None
        made: torch.Tensor = runs.tensor(values.to_contract(guess), draw) if known is None else known.clone()
        return made

    return make


def is_hopeless(error: BaseException | None) -> bool:
    """Whether an error stays whatever goes in: a name, a package, a file or a device that is missing is missing for
    every input.
    """
    if error is None:
        return False
    if isinstance(error, NameError):
        return not isinstance(error, UnboundLocalError)
    missing = isinstance(error, (StandInUsed, ImportError, FileNotFoundError, ConnectionError))
    return missing or "surroundings-missing" in torch_says.read(error)


def is_abstract(error: BaseException | None) -> bool:
    """Whether a method that does nothing but raise `NotImplementedError` was called: a subclass has to define it."""
    return _only_raising(error) is not None


def method_for_subclasses(cls: type, error: BaseException | None) -> str:
    """The name of the method of `cls` that was called and that a subclass has to define; empty if there is none."""
    code = _only_raising(error)
    if code is None:
        return ""
    name = str(code.co_name)
    return name if getattr(getattr(cls, name, None), "__code__", None) is code else ""


def _only_raising(error: BaseException | None) -> types.CodeType | None:
    """The code that raised `NotImplementedError`, if it does nothing else."""
    trace = error.__traceback__ if isinstance(error, NotImplementedError) else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or "NotImplementedError" not in trace.tb_frame.f_code.co_names:
        return None
    steps = {step.opcode for step in dis.get_instructions(trace.tb_frame.f_code)}
    return None if steps.intersection(_JUMPS) else trace.tb_frame.f_code


_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
"""A method that only raises has none."""
