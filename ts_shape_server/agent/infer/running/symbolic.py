"""The only module that touches torch's symbolic shapes: fake tensors whose dims are symbols, and the guards they leave.

`torch.fx.experimental.symbolic_shapes` is partly private. `works()` tries, once, the behaviour that the engine needs;
where it is absent the engine searches with numbers alone. The calls that are made are the same from torch 2.2 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from sympy.logic.boolalg import Boolean

from ts_shape_server.agent.infer.running import shortcuts

try:
    from torch._subclasses.fake_tensor import (
        FakeTensor,
        FakeTensorMode,
        in_kernel_invocation_manager,
        unset_fake_temporarily,
    )
    from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv

    _IMPORTED = True
except ImportError:  # a torch without these names
    _IMPORTED = False


LISTED = 16
"""Values of a tensor without memory that are made a list all the same."""


@dataclass(frozen=True)
class Guard:
    """A condition on the sizes that torch evaluated, over symbols ``s0`` … in the order of the sizes, and its value."""

    expression: Any
    value: bool


def new_mode() -> Any:
    """A fake mode in which modules are built and run; it takes real parameters too."""
    _without_long_lists()
    mode = FakeTensorMode(allow_non_fake_inputs=True, shape_env=None, static_shapes=True)
    # Its own memory of calls costs as much as it spares, for what is not asked twice (`shortcuts` has one).
    mode.cache_enabled = False
    return mode


def _without_long_lists() -> None:
    """Have `tolist` refuse what has no values: torch makes a symbol for each of them, which tells nothing."""
    original = getattr(FakeTensor, "tolist", None)
    if original is None or hasattr(original, "refuses"):
        return

    def tolist(self: Any) -> Any:
        if any(not isinstance(size, int) for size in self.shape) or self.numel() > LISTED:
            raise RuntimeError(".tolist() is not supported for tensor subclasses that have no values")
        return original(self)

    tolist.refuses = True  # type: ignore[attr-defined]  # read above, so that it is put in place once
    FakeTensor.tolist = tolist  # type: ignore[method-assign]  # the agent's own process, where all of them are ours


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether a tensor is one without memory."""
    return _IMPORTED and isinstance(tensor, FakeTensor)


def not_fake() -> Any:
    """A context in which tensors are made with memory, whatever mode is around it."""
    return unset_fake_temporarily()


_OF_SIZES = frozenset({torch.empty, torch.zeros, torch.ones})
_PLAIN_KEYWORDS = frozenset({"device", "dtype"})
_CPU = torch.device("cpu")


def allocated(
    mode: Any, function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> torch.Tensor | None:
    """What `function` gives inside `mode`, for the calls that layers make their weights with; None for all others.

    A fake mode takes each call through its dispatcher, which takes ten times as long as to make the tensor.
    """
    try:
        if function is torch.Tensor.detach:
            tensor = arguments[0]
            if keywords or type(tensor) is not FakeTensor or tensor.constant is not None:
                return None
            with unset_fake_temporarily(), in_kernel_invocation_manager(mode):
                alias = tensor.detach()
            return FakeTensor(mode, alias, tensor.device)
        if function is torch.Tensor.zero_:
            tensor = arguments[0]
            known = tensor.constant if type(tensor) is FakeTensor else None
            with unset_fake_temporarily():
                return tensor if known is not None and known.numel() == 1 and not known.item() else None
        if not _PLAIN_KEYWORDS.issuperset(keywords) or keywords.get("device") is not None:
            return None
        if function in _OF_SIZES and _are_sizes(arguments):
            with unset_fake_temporarily():
                made = torch.empty(*arguments, dtype=keywords.get("dtype"), device="meta")
            return FakeTensor(mode, made, _CPU)
        if function is torch.tensor and len(arguments) == 1 and type(arguments[0]) in (int, float, bool):
            with unset_fake_temporarily():
                value = torch.tensor(arguments[0], dtype=keywords.get("dtype"))
                fake = FakeTensor(mode, value.to("meta"), _CPU, constant=value)
            mode.fake_tensor_converter.add_constant_storage_mapping(fake)
            return fake
    except (AttributeError, AssertionError, TypeError, RuntimeError):
        # A torch that makes them in another way.
        return None
    return None


def _are_sizes(arguments: Sequence[Any]) -> bool:
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        arguments = arguments[0]
    return all(type(size) is int and size >= 0 for size in arguments)


class SymbolicSizes:
    """The symbols of one run inside `mode`. Entering sets the mode's environment, leaving restores it."""

    def __init__(self, mode: Any) -> None:
        self._mode = mode
        self._environment = ShapeEnv(duck_shape=False, specialize_zero_one=False)
        self._names: dict[Any, Any] = {}
        self._recorded: list[tuple[Any, Any]] = []
        self._evaluated: dict[Any, Any] = {}
        self._standing: dict[Any, Any] = {}
        """For each expression that a symbol stands for, its size."""
        self._meant: dict[Any, Any] = {}
        """For each such symbol, what it stands for in the inputs' own."""

    def __enter__(self) -> SymbolicSizes:
        self._before = (self._mode.shape_env, self._mode.static_shapes)
        self._mode.shape_env, self._mode.static_shapes = self._environment, False
        original = self._environment.evaluate_expr

        def evaluate(expression: Any, *arguments: Any, **keywords: Any) -> Any:
            result = self._by_hints(expression)
            if result is None:
                result = original(expression, *arguments, **keywords)
            if getattr(expression, "free_symbols", None):
                self._recorded.append((expression, result))
            return result

        self._environment.evaluate_expr = evaluate  # type: ignore[method-assign,assignment]  # how guards are heard
        return self

    def __exit__(self, *_: object) -> None:
        self._mode.shape_env, self._mode.static_shapes = self._before

    def _by_hints(self, expression: Any) -> Any:
        """The value of an expression at the sizes of this run; None if torch has to say it.

        Torch would first try to prove it, and then learn from it: that costs ten times as much, and a run at given
        sizes needs neither.
        """
        symbols = getattr(expression, "free_symbols", None)
        hints = getattr(self._environment, "backed_var_to_val", None)
        if not symbols or not hints or not all(symbol in hints for symbol in symbols):
            return None
        if expression not in self._evaluated:
            found = expression.xreplace(hints)
            plain = found in (sympy.true, sympy.false) or getattr(found, "is_Integer", False)
            self._evaluated[expression] = found if plain else None
        return self._evaluated[expression]

    def tensor(self, real: torch.Tensor) -> Any:
        """A fake tensor of `real`'s dtype, each of its dims a fresh symbol with the real size as its hint.

        It is made of its sizes: how torch makes twins of real tensors differs from version to version (2.2 to 2.5
        compare their strides, which fails), symbols are the same in all.
        """
        sizes = []
        for size in real.shape:
            position = len(self._names)
            symbol, made = self._new_size(f"size_{position}", int(size))
            self._names[symbol if getattr(symbol, "is_Symbol", False) else f"fixed {position}"] = sympy.Symbol(
                f"s{position}", integer=True, positive=True
            )
            sizes.append(made)
        with self._mode:
            return torch.empty(sizes, dtype=real.dtype)

    def _new_size(self, name: str, hint: int) -> tuple[Any, Any]:
        """A fresh symbol and the size that it is, `hint` in this run."""
        from torch._dynamo.source import ConstantSource

        source = ConstantSource(name)
        symbol = self._environment.create_symbol(hint, source, DimDynamic.DYNAMIC)
        return symbol, self._environment.create_symintnode(symbol, hint=hint, source=source)

    def plainer(self, tensor: Any) -> Any:
        """A tensor like `tensor`, in which a symbol of its own stands for each expression over one symbol.

        Torch asks the same of a size many times over, and answers slowly where it is ``((s2 - 1)//8 - 1)//2 + 1``.
        """
        try:
            sizes = [self._standing_for(size) for size in tensor.shape]
            changed = any(new is not old for new, old in zip(sizes, tensor.shape))
            return shortcuts.empty(tensor, sizes) if changed and tensor.is_contiguous() else tensor
        except (AttributeError, TypeError, ImportError):  # a torch that makes symbols in another way
            return tensor

    def _standing_for(self, size: Any) -> Any:
        expression = size.node.expr if isinstance(size, torch.SymInt) else None
        if expression is None or expression.is_Symbol or len(expression.free_symbols) != 1:
            return size
        known = self._standing.get(expression)
        if known is None:
            symbol, known = self._new_size(f"standing_{len(self._standing)}", size.node.hint)
            self._meant[symbol] = expression.xreplace(self._meant)
            self._standing[expression] = known
        return known

    def guards(self) -> tuple[Guard, ...]:
        """What torch asked of the sizes, in order, duplicates left out; of what holds together each part."""
        seen: dict[Any, Guard] = {}
        known = set(self._names.values())
        for expression, result in self._recorded:
            try:
                renamed = self._rename(expression)
                value = bool(result)
            except (TypeError, ValueError, RecursionError):
                continue
            for part in _parts(renamed, value):
                if part.free_symbols and part.free_symbols <= known and _is_condition(part):
                    seen.pop(part, None)
                    seen[part] = Guard(part, value)
        return tuple(seen.values())

    def size(self, size: Any) -> Any:
        """A size of a tensor of this run: a number, or an expression over ``s0`` …"""
        if isinstance(size, torch.SymInt):
            expression = self._rename(self._environment.simplify(size.node.expr))
            return int(expression) if expression.is_number else expression
        return int(size)

    def _rename(self, expression: Any) -> Any:
        if self._meant:
            expression = expression.xreplace(self._meant)
        return expression.xreplace({key: name for key, name in self._names.items() if not isinstance(key, str)})


def _parts(expression: Any, value: bool) -> list[Any]:
    """What has that value for itself: all of what holds together, all of alternatives of which none does."""
    if isinstance(expression, sympy.And if value else sympy.Or):
        return [part for item in expression.args for part in _parts(item, value)]
    return [expression]


def _is_condition(expression: Any) -> bool:
    """Whether an expression is true or false; a bare symbol is one that torch has fixed to its number."""
    return isinstance(expression, Boolean) and not expression.is_Symbol


def works() -> bool:
    """Whether this torch states a convolution's channel requirement as a guard on the input's own symbol."""
    if not _IMPORTED:
        return False
    try:
        mode = new_mode()
        with mode:
            layer = torch.nn.Linear(10, 5)
        with SymbolicSizes(mode) as symbols:
            fake = symbols.tensor(torch.empty(3, 7))
            try:
                with mode, torch.no_grad():
                    layer(fake)
            except RuntimeError:
                pass
            guards = symbols.guards()
        wanted = sympy.Eq(sympy.Symbol("s1", integer=True, positive=True), 10)
        return any(guard.expression == wanted and not guard.value for guard in guards)
    except Exception:
        return False


def run(
    mode: Any, make_real: Sequence[torch.Tensor], call: Callable[[list[Any], Callable[[Any], Any]], Any]
) -> tuple[SymbolicSizes, Any, BaseException | None]:
    """`call` on symbolic twins of the tensors; the result or the exception beside the symbols it left."""
    symbols = SymbolicSizes(mode)
    with symbols:
        twins = [symbols.tensor(real) for real in make_real]
        try:
            with mode, torch.no_grad():
                return symbols, call(twins, symbols.plainer), None
        except Exception as error:
            return symbols, None, error
