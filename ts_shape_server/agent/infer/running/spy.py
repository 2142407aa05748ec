"""Watches torch calls during a run: how far it came, and what the first consumer of each input documents.

A convolution says rank and channels of its input, an embedding says integers below its size. These are wishes, not
proofs: the search tries them first. Knows torch's public functions by name; knows nothing of the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ts_shape_server.agent import clock
from ts_shape_server.agent.infer.running.call_names import INDEXING, MULTIPLYING, QUESTIONS, SAME_AXES
from ts_shape_server.agent.infer.running.operators import HANDLERS, Documented
from ts_shape_server.agent.infer.running.shortcuts import Shortcuts
from ts_shape_server.agent.infer.running.value_intervals import Intervals


@dataclass
class Wish:
    """What consumers document of one input tensor. `axes` maps an axis (negative from the end) to a size."""

    rank: int | None = None
    firm: bool = False
    dtype: str | None = None
    axes: dict[int, int] = field(default_factory=dict)
    low: int | None = None
    high: int | None = None
    """The values that consumers take, inclusively."""
    consumer: str = ""
    later: int | None = None
    """The rank for which a consumer further on, that takes one rank alone, would get it."""


_LOOK_EVERY = 8
"""Calls between two looks at the time."""
_SETTERS = frozenset(["_set_grad_enabled", "set_grad_enabled"])
"""Calls by which torch puts its own state back: a run is not ended before one."""


_JOINS = frozenset(["cat", "concat", "concatenate"])
_PARTS = {"chunk": 0, "split": 0, "split_with_sizes": 0, "tensor_split": 0, "unbind": 1}
"""Calls that take a tensor apart, with how many dims fewer a part has."""


def _products(name: str, arguments: Sequence[Any], result: torch.Tensor) -> int:
    """How many products the call takes; 0 where its sizes are symbols or it was called in an unusual way."""
    if name == "einsum":
        return _products_of_einsum(arguments)
    if len(arguments) < 2 or not isinstance(arguments[1], torch.Tensor):
        return 0
    first, second = arguments[0], arguments[1]
    if name in ("matmul", "bmm", "__matmul__"):
        inner, sizes = first.shape[-1] if first.dim() else 0, result.shape
    elif name.startswith("conv_transpose"):
        inner, sizes = second.shape[1:].numel(), first.shape
    else:
        inner, sizes = second.shape[1:].numel(), result.shape
    total = inner
    for size in sizes:
        total = total * size if isinstance(size, int) else 0
    return int(total) if isinstance(total, int) else 0


def _products_of_einsum(arguments: Sequence[Any]) -> int:
    """One for each combination of the indices of an equation in letters."""
    if not arguments or not isinstance(arguments[0], str):
        return 0
    rest = arguments[1] if len(arguments) == 2 and isinstance(arguments[1], (list, tuple)) else arguments[1:]
    sizes: dict[str, Any] = {}
    for term, tensor in zip(arguments[0].partition("->")[0].replace(" ", "").split(","), rest):
        if len(term) != tensor.dim():
            return 0
        sizes.update(zip(term, tensor.shape))
    return math.prod(sizes.values()) if all(isinstance(size, int) for size in sizes.values()) else 0


_RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])


def _check_recurrent(name: str, arguments: Sequence[Any]) -> None:
    """Raises RuntimeError, as torch's layers do, where a recurrent function gets items or states of other sizes than it
    takes: of packed sequences and of those of an LSTM torch reads on in what lies there.
    """
    if name not in _RECURRENT or len(arguments) < 9:
        return
    data, packed = arguments[0], isinstance(arguments[3], (list, tuple))
    weights = arguments[3 if packed else 2]
    if not isinstance(weights, (list, tuple)) or len(weights) < 2 or data.dim() < (2 if packed else 3):
        return
    if data.dim() > 3:
        raise RuntimeError(f"{name.upper()}: Expected input to be 2D or 3D, got {data.dim()}D instead")
    wanted, got = weights[0].shape[1], data.shape[-1]
    if isinstance(got, int) and got != wanted:
        raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {wanted}, got {got}")
    if not packed:
        _check_states(arguments)


def _check_states(arguments: Sequence[Any]) -> None:
    """Raises RuntimeError where a state is not (layers and directions, batch, width), as a batch of sequences needs."""
    data, given, weights, _, layers, _, _, both_ways, batch_first = arguments[:9]
    states = given if isinstance(given, (list, tuple)) else (given,)
    rows, batch = layers * (2 if both_ways else 1), data.shape[0 if batch_first else 1]
    # The first state has the width of what comes out, the second that of the cells.
    for number, (state, width) in enumerate(zip(states, (weights[1].shape[1], weights[0].shape[0] // 4))):
        sizes = list(state.shape)
        if all(isinstance(size, int) for size in (*sizes, batch)) and sizes != [rows, batch, width]:
            which = "hidden" if len(states) == 1 else f"hidden[{number}]"
            raise RuntimeError(f"Expected {which} size {(rows, batch, width)}, got {sizes}")


_CELLS = {"lstm_cell": "LSTMCell", "gru_cell": "GRUCell", "rnn_tanh_cell": "RNNCell", "rnn_relu_cell": "RNNCell"}


def _check_cell(name: str, arguments: Sequence[Any]) -> None:
    """Raises ValueError, as torch's layers do, where a cell gets a state that is no (batch, width): a single step gets
    a batch of one from its layer, and so do its states, however many dims they have. Torch reads on in what lies there.
    """
    if name not in _CELLS or len(arguments) < 2:
        return
    states = arguments[1] if isinstance(arguments[1], (list, tuple)) else (arguments[1],)
    for number, state in enumerate(states):
        if isinstance(state, torch.Tensor) and state.dim() != 2:
            which = f"hx[{number}]" if len(states) > 1 else "hidden"
            raise ValueError(f"{_CELLS[name]}: Expected {which} to be 1D or 2D, got {state.dim()}D instead")


class Spy(TorchFunctionMode):
    """Active during one run. `steps` counts the torch calls that came back; `wishes` are by index of the tensor.

    `indexes`: a tensor's values chose places in another, which is not checked without memory.
    Between calls it ends a run whose time is up, so that nothing has to interrupt it inside of one.
    With `remembered`, calls are answered by `shortcuts` where those can; `unsafe` says afterwards that the run did what
    they do not allow for.
    """

    def __init__(
        self,
        inputs: Sequence[torch.Tensor],
        remembered: dict[Any, Any] | None = None,
        plainer: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self._shortcuts = None if remembered is None else Shortcuts(remembered, self._origin, plainer)
        self.steps = 0
        self._calls = 0
        self.work = 0
        """Products that the multiplying calls would have taken, where sizes are numbers."""
        self.last_call = ""
        self.indexes = False
        self.wishes: dict[int, Wish] = {}
        self.folds: list[tuple[tuple[Any, ...], int]] = []
        """For each view that leaves the rows to torch, ``view(-1, 320)``, the sizes of an item before, and how many
        numbers a row has.
        """
        self._intervals = Intervals(inputs)
        self._alive: list[Any] = list(inputs)
        self._same: dict[int, int] = {id(tensor): index for index, tensor in enumerate(inputs)}
        self._derived: dict[int, int] = dict(self._same)
        self._items: dict[int, tuple[int, int, bool]] = {}
        """What was taken of an input, as ``x[i]`` is: which input, how many dims fewer it has, and whether its last
        dims are the input's.
        """
        self._widened: dict[int, tuple[int, int, bool]] = {}
        """The same of what got a dim more afterwards, as a cell gives one to a single step."""
        self._joined: dict[int, tuple[int, ...]] = {}
        """The inputs that were put beside each other, by what that gave: they have as many dims as it has."""
        self._unsqueezed: dict[int, int] = {}
        """Inputs that got a dim more: where that is done on a condition, the input may have that dim itself."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
    ) -> Any:
        keywords = keywords or {}
        name = getattr(function, "__name__", "")
        if name != "__get__":
            self.last_call = name
            self._calls += 1
            if self._calls % _LOOK_EVERY == 0 and name not in _SETTERS:
                clock.end_if_due()
            self._read(name, arguments, keywords)
            _check_recurrent(name.partition(".")[0], arguments)
            _check_cell(name, arguments)
            for limit in self._intervals.check(name, arguments, keywords):
                wish = self.wishes.setdefault(limit.index, Wish())
                self._bound(wish, limit.high)
                wish.low = limit.low if wish.low is None else max(wish.low, limit.low)
        if self._shortcuts is None or name == "__get__":
            result = function(*arguments, **keywords)
        else:
            result = self._shortcuts.call(function, name, arguments, keywords)
        self.steps += name not in QUESTIONS and not self._unpacks(name, arguments)
        if name in MULTIPLYING and isinstance(result, torch.Tensor):
            self.work += _products(name, arguments, result)
        if name != "__get__":
            self._intervals.follow(name, arguments, keywords, result)
            if isinstance(result, torch.Tensor):
                self._follow(name, arguments, result)
            elif name in _PARTS and isinstance(result, (tuple, list)):
                self._follow_parts(_PARTS[name], arguments, result)
        return result

    def _unpacks(self, name: str, arguments: Sequence[Any]) -> bool:
        """Whether a call takes an item of an input, as it would of a list, or gives it the dim of a batch.

        With a list, or with a batch, no call is made for that.
        """
        if name == "unsqueeze" and id(arguments[0]) in self._items:
            return True
        if name not in ("__getitem__", "unsqueeze") or id(arguments[0]) not in self._same:
            return False
        return len(arguments) > 1 and isinstance(arguments[1], int)

    @property
    def unsafe(self) -> bool:
        return self._shortcuts is not None and self._shortcuts.unsafe

    def _origin(self, tensor: torch.Tensor) -> Any:
        """Which input a tensor comes from, and what is known of its values.

        LookupError for the inputs themselves: their consumers are told apart.
        """
        if id(tensor) in self._same:
            raise LookupError
        return self._derived.get(id(tensor)), self._intervals.key(tensor)

    def _read(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        handler = HANDLERS.get(name)
        if name in ("view", "reshape") and len(arguments) == 3 and arguments[1] == -1 and arguments[0].dim() > 2:
            self.folds += [(tuple(arguments[0].shape[1:]), arguments[2])] if type(arguments[2]) is int else []
        self.indexes = self.indexes or name in INDEXING
        try:
            if handler is not None:
                for place, documented in handler(arguments, keywords).items():
                    self._wish(name, _argument_at(arguments, keywords, place), documented)
            if name in _JOINS:
                self._read_join(arguments[0])
            if name == "__getitem__":
                index = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
                for item in index:
                    self.indexes = self.indexes or isinstance(item, torch.Tensor)
                    if isinstance(item, torch.Tensor) and item.is_floating_point():
                        self._wish(name, item, Documented(dtype="int64"))
                self._read_places(name, index)
        except (AttributeError, IndexError, TypeError, ValueError):
            return

    def _read_join(self, joined: Sequence[torch.Tensor]) -> None:
        """What is put beside floating numbers is of them too: an index would be looked up first."""
        for item in joined if any(item.is_floating_point() for item in joined) else ():
            if item.dtype is torch.int64:
                self._wish("cat", item, Documented(dtype="float32"))

    def _read_places(self, name: str, index: Sequence[Any]) -> None:
        """Places of an input beside others, ``x[torch.arange(b), place]``, are one for each of those."""
        places = [item for item in index if isinstance(item, torch.Tensor) and item.dtype is not torch.bool]
        beside = [item for item in places if id(item) not in self._derived and item.dim() > 0]
        for item in places if beside else ():
            sizes = dict(enumerate(beside[0].shape))
            if id(item) in self._derived and all(type(size) is int for size in sizes.values()):
                self._wish(name, item, Documented(beside[0].dim(), True, "int64", sizes))

    def _wish(self, consumer: str, tensor: Any, documented: Documented) -> None:
        index = self._same.get(id(tensor))
        if index is None:
            for joined in self._joined.get(id(tensor), ()):
                self._wish_rank(joined, documented)
            index = self._derived.get(id(tensor))
            if index is None:
                return
            if documented.firm and documented.rank is not None and documented.rank != tensor.dim():
                wish = self.wishes.setdefault(index, Wish())
                wish.later = self._alive[index].dim() + documented.rank - tensor.dim()
            item = self._items.get(id(tensor)) or (self._widened.get(id(tensor)) if consumer in _CELLS else None)
            if item is not None and documented.rank is not None and not documented.firm:
                index, fewer, alike = item
                wish = self.wishes.setdefault(index, Wish())
                wish.rank = wish.rank or documented.rank + fewer
                wish.later = wish.rank
                if alike and not wish.axes:
                    wish.axes = {axis: size for axis, size in documented.axes.items() if axis < 0}
            if id(tensor) in self._unsqueezed:
                wish = self.wishes.setdefault(index, Wish())
                wish.rank = wish.rank or documented.rank
                if tensor.shape[-1] == self._alive[index].shape[-1] and -1 in documented.axes:
                    wish.axes.setdefault(-1, documented.axes[-1])
            if documented.high is not None and self._intervals.may_hold_an_input(tensor):
                self._bound(self.wishes.setdefault(index, Wish()), documented.high)
            if documented.dtype in ("int64", "bool"):
                wish = self.wishes.setdefault(index, Wish())
                wish.dtype = wish.dtype or documented.dtype
            return
        wish = self.wishes.setdefault(index, Wish())
        if documented.high is not None and not self._intervals.is_followed(tensor):
            self._bound(wish, documented.high)
        self._wish_rank(index, documented)
        wish.dtype = wish.dtype or self._wanted_dtype(index, tensor, documented.dtype)
        for axis, size in documented.axes.items():
            wish.axes.setdefault(axis, size)
        wish.consumer = wish.consumer or consumer

    def _wish_rank(self, index: int, documented: Documented) -> None:
        wish = self.wishes.setdefault(index, Wish())
        if wish.rank is None or (documented.firm and not wish.firm):
            wish.rank, wish.firm = documented.rank or wish.rank, documented.firm

    def _wanted_dtype(self, index: int, tensor: torch.Tensor, documented: str | None) -> str | None:
        """The documented dtype for an input; what the module has converted to it itself may stay what it is."""
        given = self._alive[index]
        if tensor is given or documented is None or str(tensor.dtype) != f"torch.{documented}":
            return documented
        return str(given.dtype).replace("torch.", "") if given.is_floating_point() else "float32"

    @staticmethod
    def _bound(wish: Wish, high: int) -> None:
        wish.high = high if wish.high is None else min(wish.high, high)

    def _follow_parts(self, fewer: int, arguments: Sequence[Any], result: Sequence[Any]) -> None:
        """What is asked of a part of an input is asked of the input, but for the size of the dim that was cut."""
        index = self._same.get(id(arguments[0])) if arguments else None
        for part in result if index is not None else ():
            if isinstance(part, torch.Tensor) and index is not None:
                self._alive.append(part)
                self._items[id(part)] = index, fewer, False
                self._derived[id(part)] = index

    def _follow(self, name: str, arguments: Sequence[Any], result: torch.Tensor) -> None:
        self._alive.append(result)
        source = arguments[0] if arguments else None
        if id(source) in self._same and name in SAME_AXES and result is not source:
            self._same[id(result)] = self._same[id(source)]
        if name == "__getitem__" and (id(source) in self._same or id(source) in self._items):
            index = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
            known, fewer, alike = self._items.get(id(source), (self._same.get(id(source), 0), 0, True))
            if all(item is not None and not isinstance(item, list) for item in index):
                self._items[id(result)] = known, fewer + _dims_taken(index), alike
        if name in ("cat", "concat", "concatenate") and source and id(source[0]) in self._items:
            self._items[id(result)] = (*self._items[id(source[0])][:2], False)
        if name in SAME_AXES and id(source) in self._items:
            self._items[id(result)] = self._items[id(source)]
        if name == "unsqueeze" and id(source) in self._items:
            self._widened[id(result)] = self._items[id(source)]
        if name in _JOINS and isinstance(source, (list, tuple)):
            joined = (self._same.get(id(item)) for item in source)
            self._joined[id(result)] = tuple(index for index in joined if index is not None)
        if id(source) in self._same and name == "unsqueeze":
            self._unsqueezed[id(result)] = self._same[id(source)]
        for argument in arguments:
            for item in argument if isinstance(argument, (list, tuple)) else (argument,):
                if id(item) in self._derived and id(result) not in self._derived:
                    self._derived[id(result)] = self._derived[id(item)]


def _dims_taken(index: Sequence[Any]) -> int:
    """How many dims fewer there are after ``x[index]``."""
    tensors = [item for item in index if isinstance(item, torch.Tensor)]
    if len(tensors) == 1 and tensors[0].dtype is torch.bool:
        chosen = tensors[0].dim() - 1
    else:
        chosen = len(tensors) - max((item.dim() for item in tensors), default=0)
    return chosen + sum(type(item) is int for item in index)


def _argument_at(arguments: Sequence[Any], keywords: Mapping[str, Any], place: Any) -> Any:
    if isinstance(place, str):
        return keywords.get(place)
    if isinstance(place, tuple):
        return arguments[place[0]][place[1]]
    if place < len(arguments):
        return arguments[place]
    return keywords.get({0: "input", 1: "target"}.get(place, ""))
