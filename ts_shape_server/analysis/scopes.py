"""Which names a piece of code binds, reads from outside and changes in place, by Python's rules of scope.

Works on `ast` alone and knows nothing of modules, classes under probe or files. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITH_BLOCKS = (ast.If, ast.While, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith, ast.Try, ast.ExceptHandler)
_WORKS = frozenset(
    {"fit", "backward", "step", "save", "show", "run", "main", "close", "train", "eval", "load_state_dict", "test"}
)
"""Methods that do an object's work, and are called for that and not to prepare the object."""
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


def bound_by(statement: ast.stmt) -> frozenset[str]:
    """The names that a statement binds in its own scope; those of functions and classes inside it are not."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return frozenset({statement.name})
    names: set[str] = set()
    for node in own_nodes(statement):
        names.update(_bound_at(node))
    return frozenset(names)


def _bound_at(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Import):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names if alias.name != "*")
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        if node.name:
            yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of one scope: a function, class, lambda or comprehension inside it is given but not entered."""
    waiting: list[ast.AST] = [node]
    while waiting:
        current = waiting.pop()
        yield current
        if current is not node and isinstance(current, (*FUNCTIONS, ast.ClassDef, ast.Lambda, *COMPREHENSIONS)):
            continue
        waiting.extend(ast.iter_child_nodes(current))


def stored(target: ast.AST) -> frozenset[str]:
    """The names that an assignment target binds."""
    return frozenset(
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def free_names(node: ast.AST) -> frozenset[str]:
    """The names that a piece of code reads from around it; built-in names are among them.

    Annotations are left out, but for those of a class's attributes: what is cut out is run without them.
    """
    if isinstance(node, FUNCTIONS):
        return _of_function(node.args, node.body) | header_names(node)
    if isinstance(node, ast.Lambda):
        return _of_function(node.args, [node.body]) | _all_free(_defaults(node.args))
    if isinstance(node, ast.ClassDef):
        bound = frozenset(name for statement in node.body for name in bound_by(statement))
        annotations = [item.annotation for item in node.body if isinstance(item, ast.AnnAssign)]
        return header_names(node) | (_all_free([*node.body, *annotations]) - bound)
    if isinstance(node, COMPREHENSIONS):
        bound = frozenset(name for generator in node.generators for name in stored(generator.target))
        return _all_free(ast.iter_child_nodes(node)) - bound
    if isinstance(node, ast.AnnAssign):
        return free_names(node.target) | (frozenset() if node.value is None else free_names(node.value))
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return free_names(node.value) | {node.target.id}
    if isinstance(node, _WITH_BLOCKS):
        return _of_compound(node)
    if isinstance(node, ast.Name):
        return frozenset({node.id}) if isinstance(node.ctx, ast.Load) else frozenset()
    return _all_free(ast.iter_child_nodes(node))


def _of_compound(node: ast.AST) -> frozenset[str]:
    """The names that a statement with blocks reads; what it binds before it reads it is not from around it."""
    heads: list[ast.AST] = []
    blocks: list[list[ast.stmt]] = []
    for value in (value for _, value in ast.iter_fields(node)):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            blocks.append(value)
        elif isinstance(value, list):
            heads += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            heads.append(value)
    bound = frozenset(name for head in heads if not isinstance(head, ast.ExceptHandler) for name in stored(head))
    if isinstance(node, ast.ExceptHandler) and node.name:
        bound |= {node.name}
    return _all_free(heads) | frozenset().union(*(_of_block(block) - bound for block in blocks))


def _of_block(block: list[ast.stmt]) -> frozenset[str]:
    names: set[str] = set()
    bound: set[str] = set()
    for statement in block:
        names |= free_names(statement) - bound
        bound |= bound_by(statement)
    return frozenset(names)


def header_names(node: ast.AST) -> frozenset[str]:
    """The names that a definition reads when it is made: decorators, defaults, base classes."""
    if isinstance(node, FUNCTIONS):
        return _all_free([*node.decorator_list, *_defaults(node.args)])
    if isinstance(node, ast.ClassDef):
        return _all_free([*node.decorator_list, *node.bases, *(item.value for item in node.keywords)])
    return frozenset()


def parameters(arguments: ast.arguments) -> tuple[str, ...]:
    """All names of a signature."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return tuple(item.arg for item in every if item is not None)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(item for item in arguments.kw_defaults if item is not None)]


def _of_function(arguments: ast.arguments, body: list[ast.stmt] | list[ast.expr]) -> frozenset[str]:
    local = set(parameters(arguments))
    shared: set[str] = set()
    for statement in body:
        for node in own_nodes(statement):
            local.update(_bound_at(node))
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                shared.update(node.names)
    return _all_free(body) - (local - shared)


def _all_free(nodes: Iterable[ast.AST]) -> frozenset[str]:
    names: set[str] = set()
    for node in nodes:
        names |= free_names(node)
    return frozenset(names)


def changed_by(statement: ast.stmt) -> frozenset[str]:
    """The names whose objects a statement changes in place: ``x["a"] = 1``, ``x.size = 2``, ``x.append(3)``."""
    if isinstance(statement, ast.Expr):
        call = statement.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr not in _WORKS:
            return _root(call.func)
        return frozenset()
    if isinstance(statement, ast.Assign):
        return frozenset().union(*(_root(target) for target in statement.targets))
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        return _root(statement.target)
    if isinstance(statement, ast.Delete):
        return frozenset().union(*(_root(target) for target in statement.targets))
    return frozenset()


def changed_within(statement: ast.stmt) -> frozenset[str]:
    """`changed_by` of a statement and of all statements inside it, definitions left out."""
    names = changed_by(statement)
    if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        for block in inner_blocks(statement):
            for inner in block:
                names |= changed_within(inner)
    return names


def _root(node: ast.expr) -> frozenset[str]:
    """The name at the start of attributes and subscripts; none for a plain name, which is bound and not changed."""
    plain = True
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node, plain = node.value, False
    return frozenset({node.id}) if isinstance(node, ast.Name) and not plain else frozenset()


def leaves_function(statement: ast.stmt) -> bool:
    """Whether a statement has a `return`, `yield` or `await` that only its own function can hold."""
    return any(
        isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith))
        for node in own_nodes(statement)
        if not isinstance(statement, (*FUNCTIONS, ast.ClassDef))
    )


def inner_blocks(statement: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks of statements directly inside a statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block
    for name in ("handlers", "cases"):
        for item in getattr(statement, name, ()):
            yield item.body


def last_part(node: ast.expr) -> str:
    """The last name of a dotted expression, empty if it is none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
