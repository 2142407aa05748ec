"""Tensors that a method hands to numpy and takes back: computed by torch, under the names that torch has.

Why: TorchScript has no numpy. A tensor that leaves by ``.numpy()`` and comes back by ``torch.from_numpy`` never needed
it, where each function in between has one of torch's that does the same. Whether it does, to the dtype, is for a trial
to say, so nothing is done where a part of it did not run. What numpy copies is copied (``torch.tensor``, ``flatten``).
An array that is returned, or met by anything not known here, stays numpy's.

Refused: callable-unsupported
Input: x=[2, 3]

Before:
    import numpy as np
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            scores = x.sigmoid().detach().cpu().numpy()
            best = np.argmax(scores, axis=1)
            kept = np.clip(scores, 0.2, 0.8).astype(np.float32)
            return torch.from_numpy(best), torch.tensor(kept.sum(axis=-1)).to(x.device)

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            scores = x.sigmoid().detach().cpu()
            best = torch.argmax(scores, dim=1)
            kept = torch.clip(scores, 0.2, 0.8).to(torch.float32)
            return best, kept.sum(dim=-1).to(x.device)

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("last", torch.zeros(2, 3))

        def forward(self, x):
            self.last = torch.tensor(x.detach().cpu().numpy())
            flat = x.detach().numpy().flatten()
            same = x.detach().numpy().astype("float32")
            return torch.from_numpy(flat), torch.from_numpy(same), torch.from_numpy(x.detach().numpy())

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("last", torch.zeros(2, 3))

        def forward(self, x):
            self.last = x.detach().cpu().clone()
            flat = x.detach().reshape(-1).clone()
            same = x.detach().to(torch.float32, copy=True)
            return flat, same, x.detach()

Left alone:
    import numpy as np
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            found = np.unwrap(x.detach().numpy())
            return torch.from_numpy(found)

Left alone:
    import numpy as np
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            return x, np.abs(x.detach().numpy())
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.imports import without_import
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit

_FUNCTIONS = {
    **{name: name for name in ("abs", "argmax", "argmin", "sum", "mean", "prod", "cumsum", "exp", "log", "log2")},
    **{name: name for name in ("sqrt", "sin", "cos", "tanh", "floor", "ceil", "round", "sign", "clip", "where")},
    **{name: name for name in ("stack", "maximum", "minimum", "square", "isnan", "logical_and", "logical_or", "dot")},
    "absolute": "abs",
    "power": "pow",
    "amax": "amax",
    "amin": "amin",
    "max": "amax",
    "min": "amin",
    "concatenate": "cat",
    "expand_dims": "unsqueeze",
    "matmul": "matmul",
}
"""Functions of numpy that torch has with the same arguments but `axis`, by torch's names."""
_METHODS = {
    **{name: name for name in ("argmax", "argmin", "sum", "mean", "prod", "cumsum", "reshape", "clip")},
    "copy": "clone",
    "max": "amax",
    "min": "amin",
}
_DTYPES = ("float32", "float64", "int64", "int32", "uint8", "int8", "int16", "float16")
_BACK = ("torch.from_numpy", "torch.as_tensor", "torch.tensor")
_NUMBERS = ("int", "float", "bool")


class _UnknownValue(Exception):
    """Something that torch does not do in the same words."""


def by_torch(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``np.argmax(x.numpy(), axis=1)`` as ``torch.argmax(x, dim=1)``, for the whole function."""
    work = _NumpyFunction(situation, place)
    if not work.leaves:
        return
    try:
        edits = work.edits()
    except _UnknownValue:
        return
    title = f"Compute what `{place.function.name}` does with numpy by torch"
    gone = without_import(situation.source, situation.tree, work.unused())
    yield Rewrite("numpy-by-torch", title, (*edits, *gone, *situation.torch_import()))


class _NumpyFunction:
    """One function whose arrays become tensors: `arrays` are the expressions that are one of numpy's."""

    def __init__(self, situation: Situation, place: Place) -> None:
        self.situation = situation
        self.torch = situation.torch_name()
        self.nodes = [node for statement in place.function.body for node in ast.walk(statement)]
        self.leaves = [node for node in self.nodes if isinstance(node, ast.Call) and _is_method(node, "numpy")]
        self.names: set[str] = set()
        self._find_names()

    def _find_names(self) -> None:
        """The local names that hold arrays, each assignment of them included."""
        for _ in range(len(self.nodes)):
            found = {
                target.id
                for node in self.nodes
                if isinstance(node, ast.Assign) and self.is_array(node.value)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            if found <= self.names:
                return
            self.names |= found

    def is_array(self, node: ast.AST | None) -> bool:
        """Whether an expression is an array or a number of numpy's, as far as the text tells."""
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.Call):
            if node in self.leaves or self.situation.path_of(node.func).startswith("numpy."):
                return True
            return isinstance(node.func, ast.Attribute) and self.is_array(node.func.value)
        if isinstance(node, ast.Subscript):
            return self.is_array(node.value)
        if isinstance(node, ast.BinOp):
            return self.is_array(node.left) or self.is_array(node.right)
        if isinstance(node, ast.UnaryOp):
            return self.is_array(node.operand)
        if isinstance(node, ast.Compare):
            return any(map(self.is_array, [node.left, *node.comparators]))
        return False

    def edits(self) -> list[TextEdit]:
        """The edits of every array. Raises `_UnknownValue`."""
        edits: list[TextEdit] = []
        for node in self.nodes:
            if isinstance(node, ast.expr) and self.is_array(node) and isinstance(getattr(node, "ctx", None), ast.Store):
                self._check_stores(node)
            elif isinstance(node, ast.expr) and self.is_array(node):
                self._check_use(node)
                if self.situation.idle(node):
                    raise _UnknownValue
                if isinstance(node, ast.Call):
                    edits += self._call(node)
            elif isinstance(node, ast.Call) and self.situation.path_of(node.func) in _BACK:
                edits += self._taken_back(node)
            elif isinstance(node, ast.Attribute) and self.situation.path_of(node).startswith("numpy."):
                self._check_name(node)
        return edits

    def unused(self) -> set[str]:
        """The names of numpy that nothing else in the file reads."""
        inside = set(self.nodes)
        elsewhere = {
            node.id for node in ast.walk(self.situation.tree) if isinstance(node, ast.Name) and node not in inside
        }
        here = {node.id for node in self.nodes if isinstance(node, ast.Name)}
        names = {name for name, path in self.situation.classes.imports.items() if path.split(".")[0] == "numpy"}
        return names & here - elsewhere

    def _check_stores(self, node: ast.expr) -> None:
        above = self.situation.parents.get(node)
        if not isinstance(node, ast.Name) or not isinstance(above, ast.Assign) or not self.is_array(above.value):
            raise _UnknownValue

    def _check_name(self, node: ast.Attribute) -> None:
        """A function that is called, or a dtype where one is taken; both are written with their calls."""
        above = self.situation.parents.get(node)
        called = isinstance(above, ast.Call) and above.func is node
        typed = isinstance(above, ast.Call) and _is_method(above, "astype") and above.args == [node]
        if not called and not typed and not isinstance(above, ast.Attribute):
            raise _UnknownValue

    def _check_use(self, node: ast.expr) -> None:
        """Whether what reads an array takes a tensor as well."""
        above = self.situation.parents.get(node)
        if isinstance(above, ast.keyword):
            above = self.situation.parents.get(above)
        if isinstance(above, (ast.List, ast.Tuple)) and isinstance(above.ctx, ast.Load):
            above = self.situation.parents.get(above)
            if not isinstance(above, ast.Call) or not self.situation.path_of(above.func).startswith("numpy."):
                raise _UnknownValue
            return
        if isinstance(above, (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Attribute)):
            return
        if isinstance(above, ast.Subscript) and above.value is node:
            return
        if isinstance(above, ast.Assign) and all(isinstance(item, ast.Name) for item in above.targets):
            return
        if isinstance(above, ast.Call):
            path = self.situation.path_of(above.func)
            if path.startswith("numpy.") or path in (*_BACK, *_NUMBERS) or self.is_array(above):
                return
        raise _UnknownValue

    def _call(self, node: ast.Call) -> Iterator[TextEdit]:
        path = self.situation.path_of(node.func)
        if node in self.leaves:
            assert isinstance(node.func, ast.Attribute)
            yield TextEdit(self._between(node.func.value, node), "")
        elif path.startswith("numpy."):
            name = _FUNCTIONS.get(path.removeprefix("numpy."))
            if name is None:
                raise _UnknownValue
            yield self.situation.replace(node.func, f"{self.torch}.{name}")
            yield from self._axes(node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "astype":
            yield from self._dtype(node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "flatten" and not (node.args or node.keywords):
            copied = "" if self._is_new(node.func.value) else ".clone()"
            yield TextEdit(self._between(node.func.value, node), f".reshape(-1){copied}")
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            name = _METHODS[node.func.attr]
            start, end = self.situation.range_of(node.func.value), self.situation.range_of(node.func)
            if name != node.func.attr:
                yield TextEdit(Range(start.end_line, start.end_column, end.end_line, end.end_column), f".{name}")
            yield from self._axes(node)
        else:
            raise _UnknownValue

    def _axes(self, node: ast.Call) -> Iterator[TextEdit]:
        """``axis=1`` as ``dim=1``; a keyword that torch has not is `_UnknownValue`."""
        for keyword in node.keywords:
            if keyword.arg == "axis":
                span = self.situation.range_of(keyword)
                yield TextEdit(Range(span.line, span.column, span.line, span.column + len("axis")), "dim")
            elif keyword.arg != "keepdims":
                raise _UnknownValue
            else:
                span = self.situation.range_of(keyword)
                yield TextEdit(Range(span.line, span.column, span.line, span.column + len("keepdims")), "keepdim")

    def _dtype(self, node: ast.Call) -> Iterator[TextEdit]:
        """``.astype(np.float32)`` as ``.to(torch.float32)``."""
        assert isinstance(node.func, ast.Attribute)
        given = node.args[0] if len(node.args) == 1 and not node.keywords else None
        name = self.situation.path_of(given).removeprefix("numpy.") if given is not None else ""
        name = str(given.value) if isinstance(given, ast.Constant) else name
        if name not in _DTYPES:
            raise _UnknownValue
        copied = "" if self._is_new(node.func.value) else ", copy=True"
        yield TextEdit(self._between(node.func.value, node), f".to({self.torch}.{name}{copied})")

    def _taken_back(self, node: ast.Call) -> Iterator[TextEdit]:
        """``torch.from_numpy(a)`` as `a`, and ``torch.tensor(a, dtype=…)`` as ``a.to(dtype=…)``."""
        if len(node.args) != 1 or not self.is_array(node.args[0]):
            if any(self.is_array(inner) for inner in ast.walk(node)):
                raise _UnknownValue
            return
        (given,) = node.args
        options = ", ".join(self.situation.text(item) for item in node.keywords)
        atom = isinstance(given, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
        copies = self.situation.path_of(node.func) == "torch.tensor" and not self._is_new(given)
        start, inner, end = (self.situation.range_of(item) for item in (node, given, node))
        yield TextEdit(Range(start.line, start.column, inner.line, inner.column), "" if atom else "(")
        after = "" if atom else ")"
        if options:
            after += f".to({options}{', copy=True' if copies else ''})"
        elif copies:
            after += ".clone()"
        yield TextEdit(Range(inner.end_line, inner.end_column, end.end_line, end.end_column), after)

    def _is_new(self, node: ast.expr) -> bool:
        """Whether an array is one that nothing else holds: it is computed, and no view."""
        if not isinstance(node, ast.Call):
            return isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare))
        if self.situation.path_of(node.func).startswith("numpy."):
            return self.situation.path_of(node.func) != "numpy.expand_dims"
        if node in self.leaves or not isinstance(node.func, ast.Attribute):
            return False
        return node.func.attr != "reshape" or self._is_new(node.func.value)

    def _between(self, inner: ast.expr, whole: ast.expr) -> Range:
        start, end = self.situation.range_of(inner), self.situation.range_of(whole)
        return Range(start.end_line, start.end_column, end.end_line, end.end_column)


def _is_method(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == name
