"""Modules of torch that a variable at the top of a file holds, and the calls of them in that file.

Each stands for a class of its own, whose instances are copies of what it holds. An `nn.Sequential` is a model, whoever
calls it; one layer or loss is only looked at where the file's own statements call it. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from ts_shape_server.analysis import pragmas
from ts_shape_server.analysis.digests import Digests
from ts_shape_server.analysis.evidence import calls_on, program_of
from ts_shape_server.analysis.instances import Instances, Standing
from ts_shape_server.analysis.modules import FileClasses, Held, ModuleClass, Paths, dotted, paths_of
from ts_shape_server.analysis.program import Program, Way
from ts_shape_server.analysis.scopes import FUNCTIONS, bound_by
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallArguments, CallEvidence

_CONTAINERS = ("torch.nn.Sequential", "torch.nn.modules.container.Sequential")
_NO_LAYERS = frozenset(
    {"Module", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "DataParallel", "Identity"}
    | {"Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer"}
)
_KEEP = ("eval", "train", "to", "cuda", "cpu")
"""Methods that give the module itself, moved or put into a mode."""


def held_modules(source: SourceText, classes: FileClasses) -> tuple[ModuleClass, ...]:
    """The names at the top of a file that are bound once, to a module of torch's."""
    names = paths_of(classes.tree)
    bindings = [item for item in _bindings(classes.tree) if _kind(item.value, names)]
    if not bindings:
        return ()
    called = _called_by_statements(classes.tree)
    found: list[ModuleClass] = []
    for node in bindings:
        target, kind = node.targets[0], _kind(node.value, names)
        assert isinstance(target, ast.Name)
        if kind == "layer" and target.id not in called:
            continue
        if sum(target.id in bound_by(other) for other in classes.tree.body) != 1:
            continue
        read = pragmas.read(source, {node.lineno})
        digest = Digests(source.text.splitlines(), classes.tree).of(node)
        place, whole = source.range_of(target), source.range_of(node)
        found.append(ModuleClass(target.id, node.lineno, place, whole, (), None, None, (), (), read, digest, kind))
    return tuple(found)


def _bindings(tree: ast.Module) -> Iterator[ast.Assign]:
    """The assignments of the file's own statements to one name."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node


def _kind(node: ast.expr, names: Paths) -> Held:
    """What an expression makes, and perhaps moves or puts into a mode."""
    if not isinstance(node, ast.Call):
        return ""
    path = names.of(dotted(node.func) or "")
    if path in _CONTAINERS:
        return "container"
    last = path.rsplit(".", 1)[-1]
    if path == f"torch.nn.{last}" and last[:1].isupper() and last not in _NO_LAYERS:
        return "layer"
    kept = isinstance(node.func, ast.Attribute) and node.func.attr in _KEEP
    return _kind(node.func.value, names) if kept else ""  # type: ignore[attr-defined]  # a method


def _called_by_statements(tree: ast.Module) -> frozenset[str]:
    """The names that the file's own statements call, those of its functions and classes left out."""
    return frozenset(
        call.func.id
        for statement in tree.body
        if not isinstance(statement, (*FUNCTIONS, ast.ClassDef))
        for call in ast.walk(statement)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    )


@lru_cache(maxsize=256)
def calls_of_held(name: str, text: str, path: str) -> tuple[CallEvidence, ...]:
    """What the file itself gives to the module that a variable holds, in the order of the lines."""
    program, imports = program_of(text)
    made = next((node.value for node in _bindings(program.tree) if node.targets[0].id == name), None)  # type: ignore[attr-defined]  # a name
    while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and made.func.attr in _KEEP:
        made = made.func.value
    if not isinstance(made, ast.Call):
        return ()
    found = calls_on(_OfOneCall(program, made), name, SourceText(text), path, program, imports)
    # What it holds is made when the file is run: nothing of it is to be given.
    return tuple(replace(item, init=CallArguments()) for item in found if item.inputs is not None)


class _OfOneCall(Instances):
    """Follows what one call makes."""

    def __init__(self, program: Program, made: ast.Call) -> None:
        super().__init__(program, Standing(frozenset()))
        self._made = made

    def is_class(self, node: ast.expr, way: Way = ()) -> bool:
        return node is self._made.func

    def is_sure(self, node: ast.expr) -> bool:
        return True
