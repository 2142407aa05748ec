"""The classes of a file: signatures, bases as far as the file's own imports tell, layers, pragmas, and a digest of
their code.

Which of them are `nn.Module`s is decided in two steps: `find_classes` reads the text, `module_classes` follows base
classes inside the file and asks about the others. A file that does not parse keeps the classes that do. Pure.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ts_shape_server.analysis import pragmas
from ts_shape_server.analysis.pragmas import Pragmas
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.model import Range

_KNOWN_MODULES = frozenset(
    {"LightningModule", "lightning.pytorch.LightningModule", "pytorch_lightning.LightningModule"}
)
_NO_MODULES = frozenset(
    {"torch.nn.Parameter", "torch.nn.parameter.Parameter", "torch.nn.ParameterList.Parameter", "torch.nn.utils"}
)


@dataclass(frozen=True)
class Parameter:
    """`range` is the name's; `end` is the empty range right after the name and its annotation."""

    name: str
    annotation: str | None
    default: str | None
    kind: str
    range: Range
    end: Range


@dataclass(frozen=True)
class Signature:
    """A method: `range` is its name's, `returns_insert` the empty range before the colon, `body` the whole
    definition.
    """

    name: str
    line: int
    range: Range
    parameters: tuple[Parameter, ...]
    returns: str | None
    returns_insert: Range
    body: Range


@dataclass(frozen=True)
class LayerAssignment:
    """``self.<name> = …`` in the constructor; `range` is that of the attribute."""

    name: str
    range: Range


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


@dataclass(frozen=True)
class FileClasses:
    """All classes of a file, the paths that its imports give to names, and its tree (of the part that parses)."""

    classes: tuple[ModuleClass, ...]
    imports: Mapping[str, str]
    tree: ast.Module = field(compare=False, repr=False)
    syntax_error: tuple[Range, str] | None = None


def find_classes(source: SourceText) -> tuple[FileClasses, tuple[str, ...]]:
    """Every class of the file, and what went wrong in words."""
    tree, error = parse(source)
    imports = imports_of(tree)
    digests = _Digests(tree)
    found = [_class(source, node, name, imports, digests.of(node)) for node, name in _definitions(tree.body, "")]
    problems = [text for item in found for _, text in item.pragmas.problems]
    if error is not None:
        problems.append(f"line {error[0].line}: {error[1]}")
    return FileClasses(tuple(found), imports, tree, error), tuple(problems)


def module_classes(classes: FileClasses, is_module: Callable[[BaseReference], bool]) -> tuple[ModuleClass, ...]:
    """Those classes that are `nn.Module`s. `is_module` is asked about bases that neither torch nor this file has."""
    by_name = {item.name: item for item in classes.classes}
    decided: dict[str, bool] = {}

    def decide(item: ModuleClass) -> bool:
        if item.name not in decided:
            decided[item.name] = False
            decided[item.name] = any(follow(item, base) for base in item.bases)
        return decided[item.name]

    def follow(item: ModuleClass, base: BaseReference) -> bool:
        for name in _in_scope(item.name, base.expression):
            if name in by_name and name != item.name:
                return decide(by_name[name])
        known = _known(base.resolved)
        return known if known is not None else is_module(base)

    return tuple(item for item in classes.classes if decide(item))


def _in_scope(owner: str, name: str) -> Iterator[str]:
    """The qualified names that `name` may stand for inside `owner`, innermost first."""
    parts = owner.split(".")[:-1]
    while parts:
        yield ".".join([*parts, name])
        parts.pop()
    yield name


def _known(resolved: str | None) -> bool | None:
    if resolved is None:
        return False
    if resolved in _NO_MODULES:
        return False
    if resolved.startswith("torch.nn.") or resolved in ("torch.jit.ScriptModule", "torch.jit.ScriptModule"):
        return resolved.rsplit(".", 1)[-1][:1].isupper()
    if resolved in _KNOWN_MODULES or resolved.endswith(".LightningModule"):
        return True
    if resolved.startswith(("torch.", "abc.", "typing.", "enum.")) or resolved in (
        "object",
        "Exception",
        "dict",
        "list",
    ):
        return False
    return None


def parse(source: SourceText) -> tuple[ast.Module, tuple[Range, str] | None]:
    """The tree of the text. Where it does not parse, broken top-level statements are blanked, a few times over."""
    lines = list(source.lines)
    first: tuple[Range, str] | None = None
    for _ in range(12):
        try:
            return ast.parse("\n".join(lines)), first
        except SyntaxError as error:
            number = max(1, min(error.lineno or 1, len(lines)))
            message = error.msg or "invalid syntax"
        except (ValueError, RecursionError, MemoryError) as error:
            return ast.Module([], []), (Range(1, 0, 1, len(source.line(1))), str(error) or "the file cannot be parsed")
        if first is None:
            text = source.line(number)
            first = Range(number, len(text) - len(text.lstrip()), number, len(text)), message
        if not _blank(lines, number):
            break
    return ast.Module([], []), first


def _blank(lines: list[str], number: int) -> bool:
    """Empty the top-level block around a line; False if there is nothing left to empty."""
    start = number - 1
    while start > 0 and (not lines[start].strip() or lines[start][:1].isspace() or lines[start][:1] in ")]}"):
        start -= 1
    end = start + 1
    while end < len(lines) and (end < number or not lines[end].strip() or lines[end][:1].isspace()):
        end += 1
    if not any(line.strip() for line in lines[start:end]):
        return False
    lines[start:end] = [""] * (end - start)
    return True


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[ast.ClassDef, str]]:
    """Classes with their qualified names, those in functions, conditions and other classes included."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node, prefix + node.name
            yield from _definitions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _definitions(node.body, f"{prefix}{node.name}.<locals>.")
        else:
            for inner in ("body", "orelse", "finalbody"):
                yield from _definitions(getattr(node, inner, []), prefix)
            for handler in getattr(node, "handlers", []):
                yield from _definitions(handler.body, prefix)


def imports_of(tree: ast.Module) -> dict[str, str]:
    """The dotted path that each imported name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
                else:
                    top = alias.name.split(".")[0]
                    found[top] = top
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                joint = "" if module.endswith(".") or not module else "."
                found[alias.asname or alias.name] = f"{module}{joint}{alias.name}"
    return found


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


def _class(source: SourceText, node: ast.ClassDef, name: str, imports: Mapping[str, str], digest: str) -> ModuleClass:
    methods = tuple(
        signature(source, item) for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    by_name = {item.name: item for item in methods}
    first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
    lines = [first, node.lineno]
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "forward":
            lines += [min([item.lineno, *(decorator.lineno for decorator in item.decorator_list)]), item.lineno]
    return ModuleClass(
        name=name,
        line=node.lineno,
        name_range=_name_range(source, node.lineno, node.col_offset, "class", node.name),
        body=source.range_of(node),
        bases=tuple(_base(source, base, imports) for base in node.bases),
        init=by_name.get("__init__"),
        forward=by_name.get("forward"),
        methods=methods,
        layers=tuple(_layers(source, node)),
        pragmas=pragmas.read(source, lines),
        digest=digest,
    )


def _name_range(source: SourceText, line: int, byte_column: int, keyword: str, name: str) -> Range:
    text = source.line(line)
    start = text.find(name, source.from_ast(line, byte_column) + len(keyword))
    start = max(start, 0)
    return Range(line, start, line, start + len(name))


def _base(source: SourceText, node: ast.expr, imports: Mapping[str, str]) -> BaseReference:
    name = dotted(node)
    target = node.value if isinstance(node, ast.Subscript) else node
    expression = name if name is not None else ast.unparse(node)
    return BaseReference(expression, None if name is None else resolve_name(name, imports), source.range_of(target))


def signature(source: SourceText, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Signature:
    """The signature of a method, `self` left out."""
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(arguments.defaults)), *arguments.defaults]
    parameters = [
        _parameter(source, item, default, "positional") for item, default in zip(plain, defaults, strict=True)
    ]
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
    if parameters and not static:
        parameters = parameters[1:]
    if arguments.vararg is not None:
        parameters.append(_parameter(source, arguments.vararg, None, "var_positional"))
    for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(_parameter(source, item, default, "keyword"))
    if arguments.kwarg is not None:
        parameters.append(_parameter(source, arguments.kwarg, None, "var_keyword"))
    keyword = "def" if isinstance(node, ast.FunctionDef) else "async def"
    return Signature(
        name=node.name,
        line=node.lineno,
        range=_name_range(source, node.lineno, node.col_offset, keyword, node.name),
        parameters=tuple(parameters),
        returns=None if node.returns is None else ast.unparse(node.returns),
        returns_insert=_before_colon(source, node),
        body=source.range_of(node),
    )


def _parameter(source: SourceText, node: ast.arg, default: ast.expr | None, kind: str) -> Parameter:
    whole = source.range_of(node)
    name = Range(whole.line, whole.column, whole.line, whole.column + len(node.arg))
    return Parameter(
        name=node.arg,
        annotation=None if node.annotation is None else ast.unparse(node.annotation),
        default=None if default is None else ast.unparse(default),
        kind=kind,
        range=name,
        end=Range(whole.end_line, whole.end_column, whole.end_line, whole.end_column),
    )


def _before_colon(source: SourceText, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Range:
    """The place between the closing parenthesis (or the return annotation) and the colon."""
    if node.returns is not None:
        end = source.range_of(node.returns)
        return Range(end.end_line, end.end_column, end.end_line, end.end_column)
    depth = 0
    line, column = node.lineno, source.from_ast(node.lineno, node.col_offset)
    quote = ""
    while line <= len(source.lines):
        text = source.line(line)
        while column < len(text):
            sign = text[column]
            if quote:
                quote = "" if sign == quote else quote
            elif sign in "\"'":
                quote = sign
            elif sign == "#":
                break
            elif sign in "([{":
                depth += 1
            elif sign in ")]}":
                depth -= 1
                if depth == 0:
                    return Range(line, column + 1, line, column + 1)
            column += 1
        line, column = line + 1, 0
    return Range(node.lineno, len(source.line(node.lineno)), node.lineno, len(source.line(node.lineno)))


def _layers(source: SourceText, node: ast.ClassDef) -> Iterator[LayerAssignment]:
    for method in node.body:
        if not isinstance(method, ast.FunctionDef) or method.name != "__init__":
            continue
        for inner in ast.walk(method):
            if not isinstance(inner, ast.Attribute) or not isinstance(inner.ctx, ast.Store):
                continue
            if isinstance(inner.value, ast.Name) and inner.value.id == "self":
                yield LayerAssignment(inner.attr, source.range_of(inner))


class _Digests:
    """Hashes of what classes reach in their file, by the names that they use."""

    def __init__(self, tree: ast.Module) -> None:
        self._providers: dict[str, list[ast.stmt]] = {}
        self._uses: dict[int, frozenset[str]] = {}
        self._texts: dict[int, str] = {}
        for statement in tree.body:
            for name in _bound(statement):
                self._providers.setdefault(name, []).append(statement)

    def of(self, node: ast.ClassDef) -> str:
        hasher = hashlib.sha256()
        seen: set[int] = set()
        waiting: list[ast.stmt] = [node]
        while waiting:
            statement = waiting.pop()
            if id(statement) in seen:
                continue
            seen.add(id(statement))
            hasher.update(self._text(statement).encode())
            for name in sorted(self._used(statement)):
                waiting.extend(self._providers.get(name, ()))
        return hasher.hexdigest()

    def _text(self, statement: ast.stmt) -> str:
        if id(statement) not in self._texts:
            self._texts[id(statement)] = ast.dump(statement)
        return self._texts[id(statement)]

    def _used(self, statement: ast.stmt) -> frozenset[str]:
        if id(statement) not in self._uses:
            self._uses[id(statement)] = frozenset(
                inner.id for inner in ast.walk(statement) if isinstance(inner, ast.Name)
            )
        return self._uses[id(statement)]


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a top-level statement gives to the module."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names
