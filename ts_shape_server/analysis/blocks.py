"""Cuts one block of statements down to those that bind some names, and tidies what is cut for a run on its own.

Loops, conditions and `try` keep their heads and lose what is not needed. Knows nothing of the scopes around. Pure.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Sequence

from ts_shape_server.analysis.scopes import FUNCTIONS, bound_by, changed_within, free_names, inner_blocks, last_part

_WORKER_OPTIONS = frozenset(
    {"num_workers", "persistent_workers", "prefetch_factor", "multiprocessing_context", "pin_memory", "timeout"}
)
_PROGRESS = frozenset({"tqdm", "track", "progress_bar", "ProgressBar", "alive_it"})
_TEST_DECORATORS = frozenset({"fixture", "parametrize"})


def bindings(entries: Sequence[ast.stmt], live: set[str]) -> list[ast.stmt]:
    """The statements that bind or change what is live at the end of the entries; `live` becomes what they need."""
    _follow_definitions(entries, live)
    kept: list[ast.stmt] = []
    for statement in reversed(entries):
        if not (bound_by(statement) | changed_within(statement)) & live:
            continue
        piece = pruned(statement, live)
        if piece is None:
            continue
        if settles(statement):
            live -= bound_by(statement)
        live |= free_names(piece)
        kept.insert(0, piece)
    return kept


def _follow_definitions(entries: Iterable[ast.stmt], live: set[str]) -> None:
    """Functions run after what stands behind them: their names are needed at the end, not where they are defined."""
    definitions = {item.name: item for item in entries if isinstance(item, (*FUNCTIONS, ast.ClassDef))}
    waiting = [name for name in live if name in definitions]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            names = free_names(definitions[name])
            live |= names
            waiting += [item for item in names if item in definitions]


def settles(statement: ast.stmt) -> bool:
    """Whether a statement binds its names whatever happens, so that earlier bindings do not matter."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None
    if isinstance(statement, ast.Import):
        return all(alias.asname or "." not in alias.name for alias in statement.names)
    if isinstance(statement, (ast.For, ast.AsyncFor)):
        return is_first_item(statement)
    return isinstance(statement, (ast.Assign, *FUNCTIONS, ast.ClassDef, ast.ImportFrom, ast.With))


def is_first_item(statement: ast.stmt) -> bool:
    """Whether a statement is a loop that only takes the first item."""
    return isinstance(statement, ast.For) and len(statement.body) == 1 and isinstance(statement.body[0], ast.Break)


def pruned(statement: ast.stmt, live: Iterable[str]) -> ast.stmt | None:
    """The statement with only those inner statements that the live names need; None if nothing is left."""
    names = set(live)
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return None
    if is_first_item(statement) or isinstance(statement, (ast.While, *FUNCTIONS, ast.ClassDef)):
        return statement
    if not any(True for _ in inner_blocks(statement)):
        return statement
    piece = copy.copy(statement)
    for field in ("body", "orelse", "finalbody"):
        block = getattr(statement, field, None)
        if isinstance(block, list):
            setattr(piece, field, _block(statement, block, names))
    for field in ("handlers", "cases"):
        if hasattr(statement, field):
            setattr(piece, field, [_inner(item, names) for item in getattr(statement, field)])
    if isinstance(piece, (ast.For, ast.AsyncFor)) and not piece.body:
        piece.body, piece.orelse = [ast.Break()], []
        return piece if bound_by(piece) & names else None
    if isinstance(piece, (ast.With, ast.AsyncWith)):
        if not piece.body and not bound_by(piece) & names:
            return None
    elif not any(True for _ in inner_blocks(piece)) and not getattr(piece, "body", None):
        return None
    piece.body = getattr(piece, "body", None) or [ast.Pass()]  # type: ignore[attr-defined]  # blocks have a body
    return piece


def _block(owner: ast.stmt, block: list[ast.stmt], names: set[str]) -> list[ast.stmt]:
    live = set(names)
    if isinstance(owner, (ast.For, ast.AsyncFor)):
        bindings(block, live)
        live |= names
    return bindings(block, live)


def _inner(item: ast.AST, names: set[str]) -> ast.AST:
    piece = copy.copy(item)
    piece.body = bindings(item.body, set(names)) or [ast.Pass()]  # type: ignore[attr-defined]  # a handler or a case
    return piece


def first_items(owner: ast.AST) -> list[ast.stmt]:
    """What stands for the head of a block that a call is inside of: the first item of a loop, an entered context."""
    if isinstance(owner, (ast.For, ast.AsyncFor)):
        return [ast.For(owner.target, _without_progress(owner.iter), [ast.Break()], [], None)]
    if isinstance(owner, ast.With):
        return [
            ast.Assign(
                [item.optional_vars], ast.Call(ast.Attribute(item.context_expr, "__enter__", ast.Load()), [], [])
            )
            for item in owner.items
            if item.optional_vars is not None
        ]
    return []


def _without_progress(node: ast.expr) -> ast.expr:
    """An iterable without the progress bar around it, also inside `enumerate(…)`."""
    if isinstance(node, ast.Call) and node.args:
        inner = _without_progress(node.args[0])
        if last_part(node.func) in _PROGRESS:
            return inner
        if last_part(node.func) == "enumerate":
            return ast.Call(node.func, [inner, *node.args[1:]], node.keywords)
    return node


def source_of(statements: Iterable[ast.stmt]) -> str:
    """The text of statements, tidied: no annotations, no worker processes, no command line."""
    tidy = _Tidy()
    made = [tidy.visit(copy.deepcopy(statement)) for statement in statements]
    return "\n".join(ast.unparse(ast.fix_missing_locations(item)) for item in made if item is not None)


class _Tidy(ast.NodeTransformer):
    """Takes out what a slice cannot have or does not need when it runs on its own."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for item in every:
            if item is not None:
                item.annotation = None
        node.returns = None
        node.decorator_list = [
            item
            for item in node.decorator_list
            if last_part(item.func if isinstance(item, ast.Call) else item) not in _TEST_DECORATORS
        ]
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [item if isinstance(item, ast.AnnAssign) else self.visit(item) for item in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return ast.Pass()
        return self.visit(ast.Assign([node.target], node.value))  # type: ignore[no-any-return]  # an assignment

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = last_part(node.func)
        if name == "DataLoader":
            node.keywords = [item for item in node.keywords if item.arg not in _WORKER_OPTIONS]
        elif name in ("parse_args", "parse_known_args") and not node.args and not node.keywords:
            node.args = [ast.List([], ast.Load())]
        return self.generic_visit(node)
