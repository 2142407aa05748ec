"""The sources that TorchScript compiles, as trees: watches its parser, and hands it edited trees when asked.

Torch reads each function through `torch.jit.frontend.parse_def`. `Sources` stands in for it while in use: it remembers
each function, and applies edits to its tree. An edit never moves a node, so that what torch says of an edited function
still points into the file as it is. This module knows nothing of errors and of what an edit is for.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch.jit._recursive
import torch.jit.annotations
import torch.jit.frontend

from ts_shape_server.agent.script.locate import MarkedPlace


class NodeKey(NamedTuple):
    """A node by kind and extent: it finds the same node in a tree that was parsed again."""

    kind: str
    line: int
    column: int
    end_line: int
    end_column: int


def key_of(node: ast.AST) -> NodeKey:
    """The key of an expression or statement (a parameter too)."""
    located: Any = node
    end_line, end_column = located.end_lineno, located.end_col_offset
    return NodeKey(type(node).__name__, located.lineno, located.col_offset, end_line, end_column)


@dataclass(frozen=True)
class ParsedFunction:
    """A function as torch reads it. Lines and columns of `tree` are those of the dedented text: see `place_of`."""

    function: Any
    path: str
    first_line: int
    indent: int
    source: str
    tree: ast.FunctionDef

    @property
    def key(self) -> tuple[str, int]:
        return self.path, self.first_line

    @property
    def last_line(self) -> int:
        return self.first_line + (self.tree.end_lineno or 1) - 1

    def place_of(self, node: ast.AST, caption: str = "") -> MarkedPlace:
        """Where a node of the tree stands in the file."""
        key = key_of(node)
        shift = self.first_line - 1
        indent = self.indent
        return MarkedPlace(
            self.path, key.line + shift, key.column + indent, key.end_line + shift, key.end_column + indent, caption
        )

    def name_place(self, caption: str = "") -> MarkedPlace:
        """Where the function's name stands."""
        line = self.source.split("\n")[self.tree.lineno - 1]
        column = line.encode().find(b"def ") + 4
        while line[column : column + 1] == " ":
            column += 1
        number = self.first_line + self.tree.lineno - 1
        return MarkedPlace(self.path, number, column, number, column + len(self.tree.name.encode()), caption)

    def node_at(self, place: MarkedPlace) -> ast.AST | None:
        """The smallest statement, expression or parameter that covers `place`, the outermost of equal ones.

        A mark on what is called stands for the call.
        """
        line, end_line = place.line - self.first_line + 1, place.end_line - self.first_line + 1
        if place.column is None or place.end_column is None:
            return self._statement_on(line)
        start, end = (line, place.column - self.indent), (end_line, max(place.end_column, place.column) - self.indent)
        best: ast.AST | None = None
        for node in located_nodes(self.tree):
            key = key_of(node)
            if (key.line, key.column) <= start and end <= (key.end_line, key.end_column):
                best = node if best is None or _smaller(node, best) else best
        return best

    def _statement_on(self, line: int) -> ast.AST | None:
        found = [node for node in located_nodes(self.tree) if isinstance(node, ast.stmt) and node.lineno == line]
        return found[0] if found else None


def _smaller(node: ast.AST, other: ast.AST) -> bool:
    """Whether `node` lies in `other` and is not as large."""
    inner, outer = key_of(node), key_of(other)
    starts = (inner.line, inner.column), (outer.line, outer.column)
    ends = (inner.end_line, inner.end_column), (outer.end_line, outer.end_column)
    return starts[0] >= starts[1] and ends[0] <= ends[1] and (starts[0], ends[0]) != (starts[1], ends[1])


def located_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every statement, expression and parameter under `tree`, itself left out, outer ones first."""
    for node in ast.walk(tree):
        if node is not tree and isinstance(node, (ast.stmt, ast.expr, ast.arg)):
            yield node


Edit = Callable[[ast.FunctionDef], None]


@dataclass
class Sources:
    """Torch's parser, watched. Use as a context manager; `edits` may change between two compilations, `apply` makes
    those of one function.

    `last_range` is the last place at which torch looked a Python function up; `bare` are functions whose defaults that
    can change torch does not see.
    """

    apply: Callable[[Sequence[Edit], ast.FunctionDef], None]
    edits: dict[tuple[str, int], list[Edit]] = field(default_factory=dict)
    functions: dict[tuple[str, int], ParsedFunction] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    last_range: Any = None
    bare: set[tuple[str, int]] = field(default_factory=set)
    _original: Any = None
    _compile_function: Any = None
    _read_signature: Any = None
    _read_defaults: Any = None
    _read_definition: Any = None
    _read: dict[Any, Any] = field(default_factory=dict)
    _known: dict[Any, ParsedFunction] = field(default_factory=dict)
    _definitions: dict[Any, tuple[list[Edit], Any]] = field(default_factory=dict)
    """What torch made of a function, with the edits that were in force."""

    def __enter__(self) -> Sources:
        frontend: Any = torch.jit.frontend
        recursive: Any = torch.jit._recursive
        signatures: Any = torch.jit.annotations
        self._original = frontend.parse_def
        self._compile_function = recursive.try_compile_fn
        self._read_signature = signatures.get_signature
        self._read_defaults = recursive.get_default_args
        self._read_definition = recursive.get_jit_def
        frontend.parse_def = self._parse
        recursive.get_jit_def = self._defined
        recursive.try_compile_fn = self._noting(self._compile_function, 1)
        signatures.get_signature = self._noting(self._read_signature, 2)
        recursive.get_default_args = self._defaults
        return self

    def __exit__(self, *_: object) -> None:
        frontend: Any = torch.jit.frontend
        recursive: Any = torch.jit._recursive
        signatures: Any = torch.jit.annotations
        frontend.parse_def = self._original
        recursive.try_compile_fn = self._compile_function
        signatures.get_signature = self._read_signature
        recursive.get_default_args = self._read_defaults
        recursive.get_jit_def = self._read_definition
        for name in self.names:
            vars(builtins).pop(name, None)
        self.names.clear()

    def define(self, value: Any, name: str = "") -> str:
        """A name that means `value` in every function torch compiles, until the watch ends.

        A name of the caller's own must not be Python's.
        """
        name = name or f"ts_shape_{len(self.names)}"
        setattr(builtins, name, value)
        self.names.append(name)
        return name

    def ahead(self, function: Any) -> ParsedFunction | None:
        """A function that torch has not read yet, as it would read it; None where it cannot."""
        plain = _plain(function)
        if plain in self._known:
            return self._known[plain]
        try:
            return _parsed(plain, self._original(plain))
        except Exception:
            return None

    def _noting(self, original: Callable[..., Any], position: int) -> Callable[..., Any]:
        """`original`, noting the source range among its arguments: what torch raises there names no place."""

        def noting(*arguments: Any, **keywords: Any) -> Any:
            self.last_range = arguments[position] if position < len(arguments) else keywords.get("loc")
            return original(*arguments, **keywords)

        return noting

    def _defaults(self, function: Any) -> Any:
        found = self._read_defaults(function)
        parsed = self._known.get(_plain(function))
        if parsed is None or parsed.key not in self.bare:
            return found
        return {name: value for name, value in found.items() if not isinstance(value, (list, dict, set))}

    def function_at(self, path: str, line: int) -> ParsedFunction | None:
        """The innermost function torch has read whose text covers a line of a file."""
        found = [
            parsed
            for parsed in self.functions.values()
            if parsed.path == path and parsed.first_line <= line <= parsed.last_line
        ]
        return max(found, key=lambda parsed: parsed.first_line, default=None)

    def _defined(self, function: Any, name: str, *arguments: Any, **keywords: Any) -> Any:
        """What torch makes of a method: it asks for each instance, and in each compilation."""
        plain = _plain(function)
        key = (plain, name, getattr(plain, "_torchscript_modifier", None), arguments, tuple(keywords.items()))
        known = self._definitions.get(key)
        if known is not None and known[0] == self._edits_of(plain):
            return known[1]
        made = self._read_definition(function, name, *arguments, **keywords)
        if plain in self._known:
            self._definitions[key] = list(self._edits_of(plain)), made
        return made

    def _edits_of(self, function: Any) -> list[Edit]:
        return self.edits.get(self._known[function].key, [])

    def _parse(self, function: Any) -> Any:
        function = _plain(function)
        original = self._read.get(function)
        if original is None:
            original = self._read[function] = self._original(function)
            parsed = _parsed(function, original)
            self.functions[parsed.key] = self._known[function] = parsed
        parsed = self._known[function]
        tree = ast.parse(textwrap.dedent(original.source))
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef), "torch parses nothing else"
        self.apply(self.edits.get(parsed.key, ()), definition)
        context = _context(original, parsed)
        return original._replace(ast=tree, ctx=context, filename=parsed.path)


def _plain(function: Any) -> Any:
    """The function of a method that is bound to an instance."""
    return getattr(function, "__func__", function)


def _parsed(function: Any, original: Any) -> ParsedFunction:
    """What torch parsed, under the file that it truly stands in: torch takes the file of an outer decorator."""
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    path = code.co_filename if code is not None else (original.filename or "")
    dedented = textwrap.dedent(original.source)
    tree = ast.parse(dedented).body[0]
    assert isinstance(tree, ast.FunctionDef), "torch parses nothing else"
    indent = len(original.source.split("\n", 1)[0]) - len(dedented.split("\n", 1)[0])
    first_line = original.file_lineno
    if code is not None and inner is not function:
        first_line = code.co_firstlineno
    return ParsedFunction(function, path, first_line, indent, original.source, tree)


def _context(original: Any, parsed: ParsedFunction) -> Any:
    if original.filename == parsed.path and original.file_lineno == parsed.first_line:
        return original.ctx
    frontend: Any = torch.jit.frontend
    return frontend.make_source_context(
        parsed.source, parsed.path, parsed.first_line, parsed.indent, True, getattr(parsed.function, "__name__", "")
    )
