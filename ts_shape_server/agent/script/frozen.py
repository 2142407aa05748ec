"""What scripting fixes when it compiles, or leaves out, though the code counts on it: attributes that are None,
constants and values of other files that something still changes; hooks of the backward pass; a `__call__` or `train` of
its own; decorators.

Only what somebody changes is told: a value that stays as it is may be frozen. Reads sources and an instance; runs
nothing.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.script import locate
from ts_shape_server.agent.script.finding import Facts, finding
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.problem import RefusalSearch, named_object
from ts_shape_server.agent.script.session import ScriptSession
from ts_shape_server.agent.script.sources import ParsedFunction, located_nodes
from ts_shape_server.contract.report import Failure

_HOOKS = {
    "_backward_hooks": ("register_full_backward_hook", "register_backward_hook"),
    "_backward_pre_hooks": ("register_full_backward_pre_hook",),
}
_PLAIN = (bool, int, float, str)


def collect(session: ScriptSession, search: RefusalSearch) -> Iterator[Failure]:
    """The contract's failures for values that are frozen in a module that scripts."""
    compiled = _compiled(search)
    yield from _attributes(session.pristine, compiled)
    yield from _values_elsewhere(compiled, search, session.context.source)


def left_out(session: ScriptSession, search: RefusalSearch) -> Iterator[Failure]:
    """The same for what a script lacks beside its outputs in eval mode: gradients, hooks, modes."""
    yield from _hooks(session.pristine, search)
    yield from _without_gradients(_compiled(search))
    yield from _own_train(session, search)


def _failure(kind: str, facts: Facts, message: str, place: MarkedPlace, *related: MarkedPlace) -> Failure:
    places = [locate.location(item, item.caption) for item in related]
    return finding("script-trap", kind, message, locate.location(place), related=places, facts=facts)


def _attributes(module: nn.Module, compiled: Iterable[ParsedFunction]) -> Iterator[Failure]:
    """``self.mask`` that is None, or a constant, when the class is compiled and that something sets later."""
    told: set[tuple[type, str]] = set()
    functions = list(compiled)
    for part in module.modules():
        kind = type(part)
        for function in functions:
            if not _is_of(function, kind):
                continue
            for node in _reads(function):
                if (kind, node.attr) in told or not hasattr(part, node.attr):
                    continue
                fixed = _fixed(part, node.attr)
                setter = _setter(kind, node.attr, functions) if fixed else None
                if setter is None:
                    continue
                told.add((kind, node.attr))
                kind_of = "frozen-none" if fixed == "None" else "frozen-constant"
                facts = {"attribute": node.attr, "setter": setter.caption}
                yield _failure(kind_of, facts, _words(node.attr, fixed, setter), function.place_of(node), setter)


def _words(name: str, fixed: str, setter: MarkedPlace) -> str:
    later = f"what `{setter.caption}` sets later does not reach the script"
    if fixed == "None":
        return (
            f"`self.{name}` is None when the class is compiled, so TorchScript leaves out what needs it; "
            f"{later}. Annotate the attribute in the class, as in `{name}: Optional[Tensor]`"
        )
    return f"`self.{name}` is a constant to TorchScript, frozen when the class is compiled; {later}"


def _fixed(part: nn.Module, name: str) -> str:
    """``None`` or ``constant`` for an attribute whose value scripting fixes; empty for others."""
    kind = type(part)
    hints = {item: hint for base in kind.__mro__ for item, hint in getattr(base, "__annotations__", {}).items()}
    constants = getattr(kind, "__constants__", ())
    registered = name in part._parameters or name in part._modules or name in part._buffers
    if name in constants or "Final" in str(hints.get(name, "")):
        return "" if registered else "constant"
    if name in hints or registered or getattr(part, name) is not None:
        return ""
    return "None"


def _is_of(function: ParsedFunction, kind: type) -> bool:
    """Whether a class has the function as a method."""
    inner = inspect.unwrap(function.function)
    member: Any = inspect.getattr_static(kind, getattr(inner, "__name__", ""), None)
    return _code_of(member) is getattr(inner, "__code__", inner)


def _reads(function: ParsedFunction) -> Iterator[ast.Attribute]:
    for node in located_nodes(function.tree):
        if _is_own(node) and isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node


def _is_own(node: ast.AST, name: str = "") -> bool:
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return own and (not name or getattr(node, "attr", "") == name)


def _setter(kind: type, name: str, compiled: Iterable[ParsedFunction]) -> MarkedPlace | None:
    """Where a method that is not compiled sets the attribute once the class is made."""
    known = {getattr(inspect.unwrap(item.function), "__code__", None) for item in compiled}
    methods = {
        code: base
        for base in kind.__mro__
        if base.__module__.partition(".")[0] != "torch"
        for code in map(_code_of, vars(base).values())
        if code is not None
    }
    making = _making({code.co_name: code for code in methods})
    for code in methods:
        if code not in known and code.co_name not in making:
            place = _stored_in(code, name)
            if place is not None:
                return place
    return None


def _code_of(member: Any) -> Any:
    return getattr(inspect.unwrap(getattr(member, "__func__", member)), "__code__", None)


def _making(methods: Mapping[str, Any]) -> set[str]:
    """The methods that run while an instance is made or restored: the constructor, and what it calls."""
    found: set[str] = set()
    waiting = ["__init__", "__new__", "__setstate__", "__post_init__"]
    while waiting:
        name = waiting.pop()
        if name in methods and name not in found:
            found.add(name)
            waiting += methods[name].co_names
    return found


def _stored_in(code: Any, name: str) -> MarkedPlace | None:
    """The assignment of ``self.<name>`` in a function, captioned with the function's name."""
    try:
        lines, first = inspect.getsourcelines(code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    indent = len(lines[0].encode()) - len(lines[0].lstrip().encode())
    for node in _assigned(tree):
        if _is_own(node, name):
            return _shifted(code.co_filename, node, max(first, 1) - 1, indent, code.co_name)
    return None


def _assigned(tree: ast.AST) -> Iterator[ast.expr]:
    """The targets of assignments of something else than None."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield from node.targets
        elif isinstance(node, ast.AugAssign):
            yield node.target


def _shifted(path: str, node: Any, lines: int, columns: int, caption: str) -> MarkedPlace:
    return MarkedPlace(
        path,
        node.lineno + lines,
        node.col_offset + columns,
        node.end_lineno + lines,
        node.end_col_offset + columns,
        caption,
    )


def _values_elsewhere(compiled: Iterable[ParsedFunction], search: RefusalSearch, source: str) -> Iterator[Failure]:
    """``settings.scale`` of another file of the user's, which something assigns: the script has today's value."""
    told: set[str] = set()
    for function in compiled:
        scope = getattr(inspect.unwrap(function.function), "__globals__", {})
        for node in located_nodes(function.tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            holder, text = scope.get(node.value.id), ast.unparse(node)
            where = getattr(holder, "__file__", None) or ""
            if text in told or not isinstance(holder, ModuleType) or not search.users(where):
                continue
            if isinstance(getattr(holder, node.attr, None), _PLAIN) and _is_changed(text, node.attr, where, source):
                told.add(text)
                message = f"`{text}` is frozen when the class is compiled: what the code assigns later stays out"
                yield _failure("frozen-value", {"code": text}, message, function.place_of(node))


def _is_changed(text: str, name: str, path: str, source: str) -> bool:
    """Whether this file assigns the value through its module, or a function of that module says it is global."""
    try:
        trees = [ast.parse(source), ast.parse("".join(linecache.getlines(path)))]
    except (SyntaxError, ValueError, RecursionError):
        return False
    assigned = any(ast.unparse(node) == text for node in _assigned(trees[0]) if isinstance(node, ast.Attribute))
    return assigned or any(isinstance(node, ast.Global) and name in node.names for node in ast.walk(trees[1]))


def _hooks(module: nn.Module, search: RefusalSearch) -> Iterator[Failure]:
    """Hooks of the backward pass: the script runs without them."""
    for path, part in module.named_modules():
        for store, names in _HOOKS.items():
            if not getattr(part, store, None):
                continue
            owner = f"`{path}`" if path else f"`{type(part).__name__}`"
            place = _registration(module, names, search)
            if place is not None:
                message = f"the script runs without the backward hook of {owner}: TorchScript knows forward hooks only"
                facts = {"module": path or type(part).__name__}
                yield _failure("backward-hook-left-out", facts, message, place)


def _registration(module: nn.Module, names: tuple[str, ...], search: RefusalSearch) -> MarkedPlace | None:
    """The call that registers such a hook, in a method of one of the user's classes."""
    for kind in {type(part): None for part in module.modules()}:
        for member in vars(kind).values():
            code = _code_of(member)
            if code is None or not search.users(code.co_filename):
                continue
            try:
                lines, first = inspect.getsourcelines(code)
                tree = ast.parse(textwrap.dedent("".join(lines)))
            except (OSError, SyntaxError, TypeError, ValueError):
                continue
            indent = len(lines[0].encode()) - len(lines[0].lstrip().encode())
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
                    return _shifted(code.co_filename, node, max(first, 1) - 1, indent, "")
    return None


def own_call(module: nn.Module, search: RefusalSearch) -> MarkedPlace | None:
    """The name of a `__call__` that a user's class defines, captioned with the class: scripts never call it."""
    for part in module.modules():
        place = _name_of(type(part).__call__, search)
        if place is not None and getattr(type(part).__call__, "__name__", "") == "__call__":
            return replace(place, caption=type(part).__name__)
    return None


def decorated(search: RefusalSearch) -> MarkedPlace | None:
    """The first decorator that wraps a compiled function of the user's, captioned with its text."""
    return next((place for function in _compiled(search) for _, place in _decorators(function)), None)


def _compiled(search: RefusalSearch) -> list[ParsedFunction]:
    return [item for item in search.sources.functions.values() if search.users(item.path)]


def _decorators(function: ParsedFunction) -> Iterator[tuple[ast.expr, MarkedPlace]]:
    """The decorators that put another function around the one that is compiled."""
    if not hasattr(function.function, "__wrapped__"):
        return
    for node in function.tree.decorator_list:
        text = ast.unparse(node)
        if "jit." not in text and text not in ("staticmethod", "classmethod", "property"):
            yield node, function.place_of(node, f"@{text}")


_NO_GRADIENTS = (torch.no_grad, torch.inference_mode)


def _without_gradients(compiled: Iterable[ParsedFunction]) -> Iterator[Failure]:
    """``@torch.no_grad()`` over a function: the script computes gradients in it."""
    for function in compiled:
        scope = getattr(inspect.unwrap(function.function), "__globals__", {})
        for node, place in _decorators(function):
            made = node.func if isinstance(node, ast.Call) else node
            if any(named_object(made, scope) is known for known in _NO_GRADIENTS):
                message = (
                    f"TorchScript leaves `{place.caption}` out: the script computes gradients here. Write "
                    "`with torch.no_grad():` inside of the function"
                )
                facts = {"function": function.tree.name, "decorator": place.caption}
                yield _failure("no-grad-left-out", facts, message, place)


def _own_train(session: ScriptSession, search: RefusalSearch) -> Iterator[Failure]:
    """A `train` of the user's that leaves parts in another mode than torch's would: a script has torch's alone."""
    own = {
        kind: place
        for kind in {type(part): None for part in session.pristine.modules()}
        for place in [_name_of(kind.train, search)]
        if place is not None
    }
    if not own or session.heavy:
        return
    module = session.fresh()
    try:
        module.train()
    except Exception:
        # A `train` that raises is no trap of the script's.
        return
    for part in module.modules():
        left = [path for path, inner in part.named_modules() if not inner.training]
        if type(part) in own and left:
            message = (
                f"a script has no `train` of its own: `{type(part).__name__}.train` keeps "
                f"`{left[0] or type(part).__name__}` in eval mode, and the script's `train()` does not"
            )
            yield _failure("train-left-out", {"class": type(part).__name__}, message, own[type(part)])
            return


def _name_of(function: Any, search: RefusalSearch) -> MarkedPlace | None:
    """Where the name of a function of the user's stands in its definition."""
    code = getattr(function, "__code__", None)
    if code is None or not search.users(code.co_filename):
        return None
    for number in range(code.co_firstlineno, code.co_firstlineno + 20):
        line = linecache.getline(code.co_filename, number).encode()
        head = f"def {code.co_name}".encode()
        if line.strip().startswith(head):
            column = line.find(head) + len("def ")
            return MarkedPlace(code.co_filename, number, column, number, column + len(code.co_name.encode()))
    return None
