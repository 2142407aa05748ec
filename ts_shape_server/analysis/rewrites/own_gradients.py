"""Functions of autograd's own that a file has: the formula of `forward`, and how `backward` stands to it.

One run shows whether two ways to compute a gradient agree. That says something of other values only where `backward` is
the same formula for all of them and reads nothing else: this is read here, from the tree. Makes no edit.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.rewrites.situation import Situation
from ts_shape_server.analysis.scopes import FUNCTIONS, bound_by

_KEEPING = ("save_for_backward", "mark_non_differentiable", "set_materialize_grads", "save_for_forward")
"""Methods of the context that only prepare `backward`."""
_SELECTIONS = re.compile(
    r"where|clamp(_min|_max)?_?|clip_?|masked_\w+|nan_to_num_?|max(imum)?|min(imum)?|fmax|fmin|relu6?_?|threshold_?|hardtanh_?"
    r"|isnan|isfinite|isinf|gt_?|ge_?|lt_?|le_?|eq_?|ne_?|sign_?|nonzero|heaviside|index_\w+|scatter\w*"
)
"""Functions and methods that choose by values: one run shows the gradient of one choice."""


@dataclass(frozen=True)
class AutogradFunction:
    """A function of autograd's own of this file: the statements of its `forward` that compute are the `body`."""

    name: str
    forward: ast.FunctionDef
    backward: ast.FunctionDef
    body: list[ast.stmt]

    @property
    def context(self) -> str:
        return self.forward.args.args[0].arg

    @property
    def parameters(self) -> list[ast.arg]:
        return self.forward.args.args[1:]


def applied_name(situation: Situation, node: ast.AST) -> str:
    """The name of the class whose `apply` a call calls; empty for anything else."""
    applied = _alias(situation, node.func) if isinstance(node, ast.Call) else None
    if not isinstance(applied, ast.Attribute) or applied.attr != "apply" or not isinstance(applied.value, ast.Name):
        return ""
    return applied.value.id


def _alias(situation: Situation, called: ast.expr) -> ast.expr:
    """What a name stands for that the file gives once (``swish = Swish.apply``); else the expression itself."""
    if not isinstance(called, ast.Name):
        return called
    given = [
        item.value
        for item in situation.tree.body
        if isinstance(item, ast.Assign) and called.id in [ast.unparse(target) for target in item.targets]
    ]
    return given[0] if len(given) == 1 else called


def autograd_function(situation: Situation, name: str) -> AutogradFunction | None:
    """The function of autograd's own of that name in this file, if it has a plain `forward` that is a formula."""
    found = [item for item in situation.tree.body if isinstance(item, ast.ClassDef) and item.name == name]
    if len(found) != 1 or not any(
        situation.means(base, "torch.autograd.Function", "torch.autograd.function.Function") for base in found[0].bases
    ):
        return None
    forward, backward = situation.method(found[0], "forward"), situation.method(found[0], "backward")
    if not isinstance(forward, ast.FunctionDef) or not isinstance(backward, ast.FunctionDef):
        return None
    arguments = forward.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs or arguments.defaults:
        return None
    if [ast.unparse(item) for item in forward.decorator_list] != ["staticmethod"] or not arguments.args:
        return None
    body = _without_context(forward)
    return AutogradFunction(name, forward, backward, body) if body else None


def _without_context(function: ast.FunctionDef) -> list[ast.stmt] | None:
    """The statements that compute; None where one that reads the context does more than keep values for `backward`."""
    context = function.args.args[0].arg
    kept: list[ast.stmt] = []
    for number, statement in enumerate(function.body):
        documented = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if documented or _only_keeps(statement, context):
            continue
        if any(isinstance(node, ast.Name) and node.id == context for node in ast.walk(statement)):
            return None
        if any(isinstance(node, (*FUNCTIONS, ast.Lambda)) for node in ast.walk(statement)):
            return None
        kept.append(statement)
    return kept


def _only_keeps(statement: ast.stmt, context: str) -> bool:
    """``ctx.save_for_backward(x)``, ``ctx.scale = scale``."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        return (
            isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and called.value.id == context
            and called.attr in _KEEPING
        )
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return bool(targets) and all(
        isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id == context
        for item in targets
    )


def is_like_its_formula(situation: Situation, made: AutogradFunction) -> bool:
    """Whether `backward` reads nothing that the formula does not read, and nothing in it, or kept for it, is chosen by
    values: then one run shows whether both have the same gradient.
    """
    read = {node.id for statement in made.body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    if any(item.arg not in read for item in made.parameters):
        return False
    if any(map(_chooses, _kept_only(made))):
        return False
    return _chooses_nothing(situation, made.backward, read, set())


def _kept_only(made: AutogradFunction) -> Iterator[ast.stmt]:
    """The statements of `forward` on which its result does not depend."""
    needed: set[str] = set()
    for statement in reversed(made.forward.body):
        made_here = bound_by(statement)
        if _only_keeps(statement, made.context) or (made_here and made_here.isdisjoint(needed)):
            yield statement
        else:
            needed |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _chooses(statement: ast.stmt) -> bool:
    """``ctx.save_for_backward(x > 0)``."""
    return any(
        isinstance(node, ast.Compare)
        or (isinstance(node, ast.Attribute) and _SELECTIONS.fullmatch(node.attr) is not None)
        for node in ast.walk(statement)
    )


def _chooses_nothing(situation: Situation, function: ast.FunctionDef, read: set[str], seen: set[str]) -> bool:
    """Whether a function, with the functions of this file that it calls, is the same formula for all values."""
    given = {item.name: item for item in situation.tree.body if isinstance(item, ast.FunctionDef)}
    local = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    local |= {name for statement in function.body for name in bound_by(statement)}
    for node in (inner for statement in function.body for inner in ast.walk(statement)):
        if isinstance(node, (ast.Compare, ast.IfExp, ast.If, ast.While, ast.BoolOp, ast.Try)):
            if not _asks_for_need(node):
                return False
        elif isinstance(node, ast.Attribute) and _SELECTIONS.fullmatch(node.attr):
            return False
        elif isinstance(node, ast.Name) and node.id in given and node.id not in local:
            inner = given[node.id]
            if node.id not in seen and not _chooses_nothing(situation, inner, read, seen | {node.id}):
                return False
        elif isinstance(node, ast.Name) and node.id not in local | read:
            path = situation.path_of(node)
            if not hasattr(builtins, node.id) and path.split(".")[0] not in ("torch", "math"):
                return False
    return True


def _asks_for_need(node: ast.AST) -> bool:
    """``if ctx.needs_input_grad[0]:``, which saves work and decides no value."""
    return isinstance(node, (ast.If, ast.IfExp)) and ".needs_input_grad[" in ast.unparse(node.test)


def reaches_backward(made: AutogradFunction, parameter: str) -> bool:
    """Whether what is kept for `backward` is a parameter, or computed with it."""
    known = {parameter}
    for statement in made.forward.body:
        read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        if read.isdisjoint(known):
            continue
        if _only_keeps(statement, made.context):
            return True
        known |= bound_by(statement)
    return False
