"""The classes of a file: signatures, bases as far as the file's own imports tell, layers, pragmas, and a digest of
their code.

Which of them are `nn.Module`s is decided in two steps: `find_classes` reads the text, `module_classes` follows base
classes inside the file and asks about the others. A file that does not parse keeps the classes that do. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ts_shape_server.analysis import pragmas, syntax
from ts_shape_server.analysis.digests import Digests
from ts_shape_server.analysis.pragmas import Pragmas
from ts_shape_server.analysis.scopes import FUNCTIONS, inner_blocks
from ts_shape_server.analysis.signatures import Parameter, Signature, name_range, signature
from ts_shape_server.analysis.syntax import first_line, statements
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range

__all__ = [
    "BaseReference",
    "FileClasses",
    "LayerAssignment",
    "ModuleClass",
    "Parameter",
    "Pragmas",
    "Signature",
    "dotted",
    "find_classes",
    "imports_everywhere",
    "imports_of",
    "module_classes",
    "resolve_name",
]

_NO_MODULES = (
    "object",
    "Exception",
    "abc",
    "builtins",
    "collections",
    "dataclasses",
    "enum",
    "torch.Tensor",
    "torch.autograd",
    "torch.nn.Buffer",
    "torch.nn.Parameter",
    "torch.nn.parameter",
    "torch.optim",
    "torch.utils.data",
    "typing",
    "typing_extensions",
    "unittest",
)
"""Paths that no module class comes from, themselves and all below them."""
_ASKED = ("torch.nn.attention", "torch.nn.utils")
"""Packages below `torch.nn` that hold both modules and other classes."""


Held = Literal["", "container", "layer"]
"""What a variable holds: an `nn.Sequential`, or one layer or loss of torch's; empty for a class."""


@dataclass(frozen=True)
class LayerAssignment:
    """``self.<name> = …`` in the constructor; `range` is that of the attribute. `made`: a class is called there."""

    name: str
    range: Range
    made: bool = False


@dataclass(frozen=True)
class BaseReference:
    """A base class as written, and its dotted path as far as this file's imports tell."""

    expression: str
    resolved: str | None
    range: Range


@dataclass(frozen=True)
class ModuleClass:
    """A class. `name` is qualified as `__qualname__` is; `digest` changes with its code and with what it reaches
    here.

    `held`: it stands for what a variable of that name holds, a container or one layer of torch's.
    """

    name: str
    line: int
    name_range: Range
    body: Range
    bases: tuple[BaseReference, ...]
    init: Signature | None
    forward: Signature | None
    methods: tuple[Signature, ...]
    layers: tuple[LayerAssignment, ...]
    pragmas: Pragmas
    digest: str
    held: Held = ""


@dataclass(frozen=True)
class FileClasses:
    """All classes of a file, the paths that its imports give to names, and its tree (of the part that parses).

    `aliases` are the imports with assignments such as ``Base = nn.Module``; `stars` the modules of star imports.
    """

    classes: tuple[ModuleClass, ...]
    imports: Mapping[str, str]
    tree: ast.Module = field(compare=False, repr=False)
    syntax_error: tuple[Range, str] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    stars: tuple[str, ...] = ()


def find_classes(source: SourceText) -> tuple[FileClasses, tuple[str, ...]]:
    """Every class of the file, and what went wrong in words."""
    parsed = syntax.parse(source)
    names = paths_of(parsed.tree)
    digests = Digests(parsed.lines, parsed.tree)
    found = tuple(_class(source, item, names, digests) for item in _definitions(parsed.tree.body, "", None))
    problems = [f"line {place.line}: {text}" for item in found for place, text in item.pragmas.problems]
    if parsed.error is not None:
        place, message = parsed.error
        problems.append(f"line {place.line}, column {place.column + 1}: {message}")
    result = FileClasses(found, names.imports, parsed.tree, parsed.error, names.aliases, names.stars)
    return result, tuple(problems)


def module_classes(classes: FileClasses, is_module: Callable[[BaseReference], bool]) -> tuple[ModuleClass, ...]:
    """Those classes that are `nn.Module`s. `is_module` is asked about bases that neither torch nor this file has."""
    decision = _Decision(classes, is_module)
    return tuple(item for number, item in enumerate(classes.classes) if decision.of(number))


def is_module_class(classes: FileClasses, name: str, is_module: Callable[[BaseReference], bool]) -> bool:
    """Whether one class of the file is an `nn.Module`, without asking about the others."""
    decision = _Decision(classes, is_module)
    return any(decision.of(number) for number, item in enumerate(classes.classes) if item.name == name)


_DEEPEST = 100
"""Bases that are followed from one class of a file to the next; nobody writes so many."""


class _Decision:
    """Follows the bases of a file's classes; one name may have several classes, under conditions."""

    def __init__(self, classes: FileClasses, is_module: Callable[[BaseReference], bool]) -> None:
        self._classes = classes.classes
        self._is_module = is_module
        self._decided: dict[int, bool] = {}
        self._depth = 0
        self._by_name: dict[str, list[int]] = {}
        for number, item in enumerate(classes.classes):
            self._by_name.setdefault(item.name, []).append(number)

    def of(self, number: int) -> bool:
        if number not in self._decided and self._depth < _DEEPEST:
            self._decided[number] = False
            self._depth += 1
            self._decided[number] = any(self._follow(number, base) for base in self._classes[number].bases)
            self._depth -= 1
        return self._decided.get(number, False)

    def _follow(self, number: int, base: BaseReference) -> bool:
        owner = self._classes[number].name
        for name in _in_scope(owner, base):
            here = [other for other in self._by_name.get(name, ()) if other != number]
            if name == owner:
                here = [other for other in here if other < number]
            if here:
                return any(self.of(other) for other in here)
        known = known_module(base.resolved)
        return self._is_module(base) if known is None else known


def _in_scope(owner: str, base: BaseReference) -> Iterator[str]:
    """The qualified names that a base may stand for inside `owner`, innermost first."""
    for name in dict.fromkeys((base.expression, base.resolved or base.expression)):
        parts = owner.split(".")[:-1]
        while parts:
            yield ".".join([*parts, name])
            parts.pop()
        yield name


def known_module(resolved: str | None) -> bool | None:
    """What a path alone says of a base class: it is an `nn.Module`, it is none, or (None) it has to be looked up."""
    if resolved is None:
        return None
    if _below(resolved, _NO_MODULES):
        return False
    if resolved.endswith(".LightningModule") or resolved in (
        "torch.jit.ScriptModule",
        "torch.jit.RecursiveScriptModule",
    ):
        return True
    if resolved.startswith("torch.nn.") and not _below(resolved, _ASKED):
        return resolved.rsplit(".", 1)[-1].lstrip("_")[:1].isupper()
    return None


def _below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root + ".") for root in roots)


def parse(source: SourceText) -> tuple[ast.Module, tuple[Range, str] | None]:
    """The tree of what parses, and the first syntax error."""
    parsed = syntax.parse(source)
    return parsed.tree, parsed.error


@dataclass(frozen=True)
class Paths:
    """What the names of a file stand for: `imports` by name, `aliases` with ``Base = nn.Module`` added, and the modules
    of star imports.
    """

    imports: Mapping[str, str]
    aliases: Mapping[str, str]
    stars: tuple[str, ...]

    def of(self, name: str) -> str:
        """The path of a dotted name. One that nothing binds comes from the star import, if there is just one."""
        first = name.split(".")[0]
        if first not in self.aliases and len(self.stars) == 1 and first[:1].isupper():
            return f"{self.stars[0]}.{name}"
        return resolve_name(name, self.aliases)


def paths_of(tree: ast.Module) -> Paths:
    """What the names at the top of a file stand for."""
    imports: dict[str, str] = {}
    aliases: dict[str, str] = {}
    stars: list[str] = []
    for node in statements(tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            _imported(node, imports)
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                stars.append("." * node.level + (node.module or ""))
        elif isinstance(node, ast.ClassDef):
            aliases.setdefault(node.name, node.name)
        elif isinstance(node, ast.Assign) and node.col_offset == 0:
            target, path = node.targets[0], dotted(node.value)
            if isinstance(target, ast.Name) and path is not None and isinstance(node.value, (ast.Name, ast.Attribute)):
                aliases.setdefault(target.id, path)
    imports.pop("*", None)
    found = dict(imports)
    for name, path in aliases.items():
        if name not in imports:
            found[name] = path if path == name else resolve_name(path, found)
    return Paths(imports, found, tuple(stars))


def imports_of(tree: ast.Module) -> dict[str, str]:
    """The dotted path that each imported name stands for, wherever in the file it is imported."""
    return dict(paths_of(tree).imports)


def imports_everywhere(tree: ast.Module) -> frozenset[str]:
    """Every path that an import of the file brings, also where two of them bind the same name."""
    found: set[str] = set()
    for node in statements(tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            one: dict[str, str] = {}
            _imported(node, one)
            found.update(one.values())
    return frozenset(found)


def _imported(node: ast.Import | ast.ImportFrom, found: dict[str, str]) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.split(".")[0]
            found[alias.asname or top] = alias.name if alias.asname else top
        return
    module = "." * node.level + (node.module or "")
    joint = "" if module.endswith(".") or not module else "."
    for alias in node.names:
        found[alias.asname or alias.name] = f"{module}{joint}{alias.name}"


def dotted(node: ast.expr) -> str | None:
    """The text of a name or of attributes of a name; a subscript stands for what it subscripts."""
    if isinstance(node, ast.Subscript):
        return dotted(node.value)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def resolve_name(name: str, imports: Mapping[str, str]) -> str:
    """`name` with its first part replaced by what the imports say of it."""
    first, _, rest = name.partition(".")
    path = imports.get(first, first)
    return f"{path}.{rest}" if rest else path


@dataclass(frozen=True)
class _Definition:
    """A class statement, its qualified name, and the function around it, whose code it depends on."""

    node: ast.ClassDef
    name: str
    function: ast.stmt | None


def _definitions(body: Iterable[ast.stmt], prefix: str, function: ast.stmt | None) -> Iterator[_Definition]:
    """Classes with their qualified names, those in functions, conditions and other classes included."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield _Definition(node, prefix + node.name, function)
            yield from _definitions(node.body, f"{prefix}{node.name}.", function)
        elif isinstance(node, FUNCTIONS):
            yield from _definitions(node.body, f"{prefix}{node.name}.<locals>.", function or node)
        else:
            for inner in inner_blocks(node):
                yield from _definitions(inner, prefix, function)


def _class(source: SourceText, definition: _Definition, names: Paths, digests: Digests) -> ModuleClass:
    node = definition.node
    members = [item for item in _members(node.body) if isinstance(item, FUNCTIONS)]
    methods = tuple(signature(source, item) for item in members)
    by_name = {item.name: item for item in methods}
    marked = [node, *(item for item in members if item.name == "forward")]
    lines = {line for item in marked for line in (item.lineno, first_line(item))}
    return ModuleClass(
        name=definition.name,
        line=node.lineno,
        name_range=name_range(source, node, "class", node.name),
        body=source.range_of(node),
        bases=tuple(_base(source, base, names) for base in node.bases),
        init=by_name.get("__init__"),
        forward=by_name.get("forward"),
        methods=methods,
        layers=tuple(layer for item in members if item.name == "__init__" for layer in _layers(source, item)),
        pragmas=_pragmas(source, node, lines, by_name.get("forward")),
        digest=digests.of(definition.function or node),
    )


def names_taken(forward: Signature | None) -> frozenset[str] | None:
    """The inputs that a comment can tell; None where they are not known, or where any other may be passed by name."""
    if forward is None or any(item.kind == "var_keyword" for item in forward.parameters):
        return None
    return frozenset(item.name for item in forward.parameters)


def _pragmas(source: SourceText, node: ast.ClassDef, lines: set[int], forward: Signature | None) -> Pragmas:
    """What the comments over a class and its `forward` say, and which of those inside of it nothing reads."""
    found = pragmas.read(source, lines, names_taken(forward))
    inner = [item for item in ast.walk(node) if isinstance(item, (ast.ClassDef, *FUNCTIONS))]
    heads = [item for item in inner if isinstance(item, ast.ClassDef) or item.name == "forward"]
    read = lines.union(line for item in heads for line in (item.lineno, first_line(item)))
    return replace(found, problems=(*found.problems, *pragmas.misplaced(source, read, source.range_of(node))))


def _members(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a class body, those under conditions included."""
    for node in body:
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            for inner in inner_blocks(node):
                yield from _members(inner)


def _base(source: SourceText, node: ast.expr, names: Paths) -> BaseReference:
    if isinstance(node, ast.Call) and len(node.args) == 2 and (dotted(node.func) or "").endswith("with_metaclass"):
        return _base(source, node.args[1], names)
    name = dotted(node)
    target = node.value if isinstance(node, ast.Subscript) else node
    span = source.range_of(target)
    return BaseReference(name or source.slice(span), None if name is None else names.of(name), span)


def _calls_class(node: ast.stmt) -> bool:
    """Whether the value of an assignment is a call of what is named like a class, and like none of tensors."""
    value = getattr(node, "value", None)
    name = dotted(value.func) if isinstance(value, ast.Call) else None
    last = (name or "").rsplit(".", 1)[-1]
    return last[:1].isupper() and not last.endswith(("Parameter", "Buffer", "Tensor"))


def _layers(source: SourceText, method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[LayerAssignment]:
    """``self.<name> = …`` and ``self.add_module("<name>", …)`` in a constructor."""
    first = [*method.args.posonlyargs, *method.args.args]
    own = first[0].arg if first else ""
    for node in statements(method.body):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name = _added(node.value, own)
            if name is not None:
                yield LayerAssignment(str(name.value), source.range_of(name), True)
        for target in targets:
            for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == own:
                    made = isinstance(target, ast.Attribute) and _calls_class(node)
                    yield LayerAssignment(part.attr, source.range_of(part), made)


def _added(call: ast.Call, own: str) -> ast.Constant | None:
    """The name constant of ``self.add_module("name", …)``."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in ("add_module", "register_module"):
        return None
    if not (isinstance(function.value, ast.Name) and function.value.id == own and call.args):
        return None
    name = call.args[0]
    return name if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
