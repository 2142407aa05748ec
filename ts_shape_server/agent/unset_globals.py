"""Global names that a class reads and that its file sets only where a probe does not come: in a branch that a command
line decides, under ``if __name__ == "__main__":``, in a function that declares them ``global``.

A literal of a branch is taken as it is. What else sets a name is run, with no more than it needs and for a moment. Each
name that is had this way is told in a sentence. Knows nothing of modules.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ts_shape_server.agent import shares, slicing
from ts_shape_server.agent.clock import TimeLimit, waiting_limit

_RUN = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Import, ast.ImportFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def supply(tree: ast.Module, source: str, name: str, namespace: dict[str, Any], path: str) -> tuple[str, ...]:
    """Put into `namespace` what the definition of that name reads and what can be had; a sentence for each."""
    notes: list[str] = []
    for missing in sorted(_missing(source, name, namespace)):
        note = _literal(tree, missing, namespace) or _made(tree, missing, namespace, path)
        if note is not None:
            notes.append(note)
    return tuple(notes)


def _missing(source: str, name: str, namespace: Mapping[str, Any]) -> set[str]:
    """The global names that a definition of the file reads, and those that it reaches, and that hold nothing."""
    try:
        table = symtable.symtable(source, "<file>", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    definitions = {item.get_name(): item for item in table.get_children()}
    waiting, seen, missing = [name], {name}, set[str]()
    while waiting:
        definition = definitions.get(waiting.pop())
        for read in _read(definition) if definition is not None else ():
            if read in seen:
                continue
            seen.add(read)
            if read in definitions:
                waiting.append(read)
            if read not in namespace and not hasattr(builtins, read):
                missing.add(read)
    return missing


def _read(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _read(child)


def _literal(tree: ast.Module, name: str, namespace: dict[str, Any]) -> str | None:
    """The first literal that a branch at the top of the file gives to the name."""
    found: list[tuple[int, Any]] = []
    for statement in tree.body:
        if isinstance(statement, (ast.If, ast.Try)) and not slicing.is_main_guard(statement):
            for node in _inside(statement):
                if isinstance(node, ast.Assign) and any(
                    isinstance(to, ast.Name) and to.id == name for to in node.targets
                ):
                    try:
                        found.append((node.lineno, ast.literal_eval(node.value)))
                    except (ValueError, TypeError):
                        continue
    if not found:
        return None
    line, value = found[0]
    namespace[name] = value
    others = dict.fromkeys(repr(other) for _, other in found if other != value)
    besides = f"; other branches set {', '.join(others)}" if others else ""
    return f"`{name}` is {value!r} here, as in the branch in line {line}{besides}."


def _inside(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements in the blocks of one, at any depth, without those of functions and classes."""
    for field in ("body", "orelse", "finalbody"):
        for inner in getattr(statement, field, ()):
            yield inner
            if not isinstance(inner, slicing.DEFINITIONS):
                yield from _inside(inner)
    for handler in getattr(statement, "handlers", ()):
        yield from _inside(handler)


def _made(tree: ast.Module, name: str, namespace: dict[str, Any], path: str) -> str | None:
    """What the body of the program, or a function that declares the name global, sets it to."""
    for where, body in _programs(tree, name):
        setting = next((item for item in body if isinstance(item, _RUN) and name in slicing.bound(item)), None)
        if setting is None:
            continue
        local = dict(namespace)
        try:
            with waiting_limit(shares.NAMED_STATEMENT):
                for statement in _needed(body, name, namespace):
                    exec(compile(ast.Module([statement], []), path, "exec", dont_inherit=True), local)
        except (Exception, SystemExit, TimeLimit):
            continue
        if name in local:
            namespace[name] = local[name]
            return f"`{name}` is what line {setting.lineno} sets, {where}."
    return None


def _programs(tree: ast.Module, name: str) -> Iterator[tuple[str, Sequence[ast.stmt]]]:
    for statement in tree.body:
        if slicing.is_main_guard(statement) and isinstance(statement, ast.If):
            yield 'under `if __name__ == "__main__":`', statement.body
        if isinstance(statement, _FUNCTIONS) and any(
            isinstance(node, ast.Global) and name in node.names for node in ast.walk(statement)
        ):
            yield f"in `{statement.name}`", statement.body


def _needed(body: Sequence[ast.stmt], name: str, namespace: Mapping[str, Any]) -> list[ast.stmt]:
    """The statements of a block that make a name, or change what makes it, in their order."""
    wanted, kept = {name}, set[int]()
    grown = True
    while grown:
        grown = False
        for place, statement in enumerate(body):
            if place in kept or not isinstance(statement, _RUN) or not _concerns(statement, wanted):
                continue
            kept.add(place)
            wanted |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} - set(namespace)
            grown = True
    return [body[place] for place in sorted(kept)]


def _concerns(statement: ast.stmt, wanted: set[str]) -> bool:
    """Whether a statement gives a value to a wanted name, sets a part of it or calls a method of it."""
    if slicing.bound(statement) & wanted:
        return True
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [statement.value.func]
    return any(not isinstance(target, ast.Name) and _root(target) in wanted for target in targets)


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
