"""What a rewrite may look at: the file's tree, the refusals with their places in it, and what a run saw there.

A `Rewrite` is a wish: text edits with an id and a title. Whether it helps, and computes the same, is for a trial to
say. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ts_shape_server.analysis.edits import annotate
from ts_shape_server.analysis.imports import ensure_import
from ts_shape_server.analysis.modules import FileClasses
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.analysis.spelling import TypeSpelling
from ts_shape_server.analysis.syntax import statements
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation, Failure, ReportedComplaint, TorchScript

Definition = ast.FunctionDef | ast.AsyncFunctionDef

PLAIN, SIGNATURE, LEAVES = 0, 1, 2
"""How deep a rewrite goes: the same said in other words; a changed signature; a part that leaves TorchScript."""


@dataclass(frozen=True)
class Rewrite:
    """`id` (kebab case) says what it does and decides which rewrites are alike; `title` is for people.

    `depth` orders alternatives: a deeper one is tried only where the others do not do. `interface`: who calls the
    changed function may have to call it otherwise.
    """

    id: str
    title: str
    edits: tuple[TextEdit, ...]
    depth: int = PLAIN
    interface: bool = False


@dataclass(frozen=True)
class Place:
    """A refusal in the tree: the node that torch marks, the statement and the function around it."""

    failure: Failure
    node: ast.AST
    statement: ast.stmt
    function: Definition
    owner: ast.ClassDef | None

    def says(self, *kinds: str) -> ReportedComplaint | None:
        """The first of torch's complaints that is of one of these kinds."""
        return next((item for item in self.failure.complaints if item.kind in kinds), None)


class Situation:
    """One file, and what TorchScript makes of one of its classes. `called`: its inputs are those of a call that was
    seen, and not found by running it.
    """

    def __init__(
        self,
        source: SourceText,
        classes: FileClasses,
        path: str,
        class_name: str,
        state: TorchScript,
        called: bool = True,
    ) -> None:
        self.source = source
        self.class_name = class_name
        self.classes = classes
        self.path = path
        self.state = state
        self.called = called
        self.tree = classes.tree

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def _types(self) -> dict[Range, str]:
        return {span: kind for facts in self.state.facts for span, kind in facts.values}

    @cached_property
    def _idle(self) -> set[Range]:
        return {span for facts in self.state.facts for span in facts.idle}

    @cached_property
    def functions(self) -> list[Definition]:
        return [node for node in statements(self.tree.body) if isinstance(node, FUNCTIONS)]

    def spelling(self) -> TypeSpelling:
        """A speller of types that remembers what its words need imported."""
        return TypeSpelling(self.source, self.tree)

    def range_of(self, node: ast.AST) -> Range:
        return self.source.range_of(node)

    def text(self, node: ast.AST) -> str:
        return self.source.slice(self.range_of(node))

    def text_with(self, node: ast.AST, names: Mapping[str, str]) -> str:
        """The text of a node of one line with other words for some names."""
        text, start = self.text(node), self.range_of(node).column
        found = [item for item in ast.walk(node) if isinstance(item, ast.Name) and item.id in names]
        for item in sorted(found, key=lambda item: -item.col_offset):
            column = self.range_of(item).column - start
            text = text[:column] + names[item.id] + text[column + len(item.id) :]
        return text

    def replace(self, node: ast.AST, text: str) -> TextEdit:
        return TextEdit(self.range_of(node), text)

    def before(self, node: ast.AST, text: str) -> TextEdit:
        """Lines of text (at the statement's own depth) before a statement, without the last line end."""
        span = self.range_of(node)
        indent = self.indent(node)
        lines = text.split("\n")
        joined = self.source.newline.join([lines[0], *(indent + line if line else "" for line in lines[1:])])
        return TextEdit(Range(span.line, span.column, span.line, span.column), joined + self.source.newline + indent)

    def above(self, function: Definition | ast.ClassDef, lines: list[str]) -> TextEdit:
        """Lines of a new definition above another one and its decorators, set apart by empty lines."""
        number = min([function.lineno, *(item.lineno for item in function.decorator_list)])
        newline = self.source.newline
        gap = newline if isinstance(self.parents.get(function), ast.ClassDef) else 2 * newline
        before = self.source.line(number - 1).strip() if number > 1 else ""
        apart = "" if not before or before.endswith(":") or before.startswith("#") else gap
        text = "".join(line + newline for line in lines)
        return TextEdit(Range(number, 0, number, 0), apart + text + gap)

    def torch_name(self) -> str:
        """What torch is called in this file."""
        return self.import_of("torch")[0]

    def torch_import(self) -> list[TextEdit]:
        """The import of torch, where the file has none."""
        return self.import_of("torch")[1]

    def import_of(self, module: str) -> tuple[str, list[TextEdit]]:
        """What a module is called in this file, and the edits that import it where it is not."""
        return ensure_import(self.source, self.tree, module)

    def indent(self, node: ast.AST) -> str:
        line = self.source.line(self.range_of(node).line)
        return line[: len(line) - len(line.lstrip())]

    def alone(self, node: ast.stmt) -> bool:
        """Whether a statement has its lines to itself: neither ``if a: b`` nor ``a; b``."""
        span = self.range_of(node)
        after = self.source.line(span.end_line)[span.end_column :].strip()
        return not self.source.line(span.line)[: span.column].strip() and (not after or after.startswith("#"))

    def comment_after(self, node: ast.AST) -> str:
        """The comment at the end of a node's last line, empty if there is none."""
        span = self.range_of(node)
        after = self.source.line(span.end_line)[span.end_column :].strip()
        return after if after.startswith("#") else ""

    def type_of(self, node: ast.AST) -> str | None:
        """The type that an expression had in the run; None where it did not run."""
        if isinstance(node, ast.Constant):
            return _CONSTANTS.get(type(node.value))
        return self._types.get(self.range_of(node))

    def type_of_name(self, function: ast.AST, name: str) -> str | None:
        """The type that a local name had wherever it was read; None if that is none or several."""
        kinds = {
            self.type_of(node)
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        } - {None}
        kinds |= {kind for kind in (self._stored_type(node, name) for node in ast.walk(function)) if kind}
        return joined({kind for kind in kinds if kind is not None})

    def _stored_type(self, node: ast.AST, name: str) -> str | None:
        if isinstance(node, ast.Assign) and any(
            isinstance(item, ast.Name) and item.id == name for item in node.targets
        ):
            return self.type_of(node.value)
        return None

    def idle(self, node: ast.AST) -> bool:
        """Whether a node stands in a block that never ran."""
        current: ast.AST | None = node
        while current is not None and not isinstance(current, FUNCTIONS):
            above = self.parents.get(current)
            if isinstance(current, ast.stmt) and above is not None and self._block_is_idle(above, current):
                return True
            current = above
        return False

    def reached(self, node: ast.expr) -> bool:
        """Whether the run evaluated an expression. Where nothing was told of any function, that is open and taken so:
        a rewrite that a trial has to prove asks, since a trial proves only what ran.
        """
        return not self.idle(node) and (not self.state.facts or self.type_of(node) is not None)

    def had(self, node: ast.expr, kind: str) -> bool:
        """Whether an expression ran, with values of this type and no other; as `reached`, taken so where nothing was
        told.
        """
        return not self.idle(node) and (not self.state.facts or self.type_of(node) == kind)

    def _block_is_idle(self, above: ast.AST, statement: ast.stmt) -> bool:
        for name in ("body", "orelse", "finalbody"):
            block = getattr(above, name, None)
            if isinstance(block, list) and statement in block:
                return self.block_is_idle(block)
        return False

    def block_is_idle(self, block: list[ast.stmt]) -> bool:
        if not block:
            return False
        first, last = self.range_of(block[0]), self.range_of(block[-1])
        return Range(first.line, first.column, last.end_line, last.end_column) in self._idle

    def arrived(self, function: Definition, parameter: str) -> str | None:
        """The type that a run saw in a parameter."""
        owner = self.owner(function)
        name = self.qualified(owner) if owner is not None else ""
        for item in self.state.annotations:
            if (item.owner, item.function, item.name) == (name, function.name, parameter):
                return item.type
        return None

    def qualified(self, owner: ast.ClassDef) -> str:
        return next((item.name for item in self.classes.classes if item.line == owner.lineno), owner.name)

    def owner(self, function: ast.AST) -> ast.ClassDef | None:
        """The class of a method; None for a function."""
        above = self.parents.get(function)
        while above is not None and not isinstance(above, (*FUNCTIONS, ast.ClassDef)):
            above = self.parents.get(above)
        return above if isinstance(above, ast.ClassDef) else None

    def function_of(self, node: ast.AST) -> Definition | None:
        current: ast.AST | None = node
        while current is not None and not isinstance(current, FUNCTIONS):
            current = self.parents.get(current)
        return current

    def statement_of(self, node: ast.AST) -> ast.stmt | None:
        current: ast.AST | None = node
        while current is not None and not isinstance(current, ast.stmt):
            current = self.parents.get(current)
        return current

    def block_of(self, statement: ast.stmt) -> list[ast.stmt] | None:
        """The list of statements that one stands in."""
        above = self.parents.get(statement)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(above, name, None)
            if isinstance(block, list) and statement in block:
                return block
        return None

    def annotated(self, annotations: list[Annotation]) -> tuple[TextEdit, ...]:
        return annotate(self.source, self.classes, annotations)[0]

    def method(self, owner: ast.ClassDef, name: str) -> Definition | None:
        found = [item for item in owner.body if isinstance(item, FUNCTIONS) and item.name == name]
        return found[-1] if found else None

    def bases(self, owner: ast.ClassDef) -> Iterator[ast.ClassDef]:
        """The class and the bases of it that stand in this file."""
        seen: set[str] = set()
        waiting = [owner]
        tops = {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}
        while waiting:
            current = waiting.pop(0)
            if current.name in seen:
                continue
            seen.add(current.name)
            yield current
            waiting += [tops[item.id] for item in current.bases if isinstance(item, ast.Name) and item.id in tops]

    def is_entry(self, function: Definition) -> bool:
        """Whether a function is the `forward` of the class itself, its own or that of a base in this file."""
        owner = self.owner(function)
        line = next((item.line for item in self.classes.classes if item.name == self.class_name), 0)
        own = next(
            (node for node in statements(self.tree.body) if isinstance(node, ast.ClassDef) and node.lineno == line),
            None,
        )
        return function.name == "forward" and own is not None and any(item is owner for item in self.bases(own))

    def place(self, failure: Failure) -> Place | None:
        """Where a refusal stands in this file's tree; None if it stands elsewhere."""
        if failure.location is None or failure.location.path != self.path:
            return None
        node = self.node_at(failure.location.range)
        statement = self.statement_of(node) if node is not None else None
        function = self.function_of(node) if node is not None else None
        if node is None or statement is None or function is None:
            return None
        return Place(failure, node, statement, function, self.owner(function))

    def node_at(self, span: Range) -> ast.AST | None:
        """The smallest node that covers a range, the outermost of equal ones."""
        best: ast.AST | None = None
        best_size: tuple[int, int] | None = None
        for node in ast.walk(self.tree):
            if not isinstance(node, (ast.stmt, ast.expr, ast.arg)):
                continue
            if node.lineno > span.line or (node.end_lineno or 0) < span.end_line:
                continue
            found = self.range_of(node)
            if (found.line, found.column) <= (span.line, span.column) and (found.end_line, found.end_column) >= (
                span.end_line,
                span.end_column,
            ):
                size = (found.end_line - found.line, found.end_column - found.column)
                if best_size is None or size < best_size:
                    best, best_size = node, size
        return best

    def free_name(self, wanted: str, within: ast.AST | None = None) -> str:
        """`wanted`, numbered if the file, or the function that it is `within`, has that name already."""
        nodes = list(ast.walk(within or self.tree))
        taken = {node.id for node in nodes if isinstance(node, ast.Name)}
        taken |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        taken |= {node.name for node in ast.walk(self.tree) if isinstance(node, (*FUNCTIONS, ast.ClassDef))}
        if within is None:
            taken |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        number, name = 1, wanted
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def free_attribute(self, wanted: str, owner: ast.ClassDef | None = None) -> str:
        """`wanted`, numbered if a method or an attribute of that name is in the file, or in the classes of the file
        that are the `owner` or related to it.
        """
        nodes = [
            node for item in (self._related(owner) if owner is not None else [self.tree]) for node in ast.walk(item)
        ]
        taken = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        taken |= {node.name for node in nodes if isinstance(node, FUNCTIONS)}
        number, name = 1, wanted
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def _related(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        """A class with all that it inherits from and that inherit from it, or from one of them."""
        classes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]
        bases = {node: {_dotted(base).rpartition(".")[2] for base in node.bases} for node in classes}
        found = [owner]
        for node in found:
            new = [item for item in classes if item.name in bases[node] or node.name in bases[item]]
            found += [item for item in new if item not in found]
        return found

    def attributes_of(self, owner: ast.ClassDef, name: str) -> Iterator[ast.Attribute]:
        """Each place of the file that stores or reads an attribute of this name, but for `self` of classes that have
        nothing to do with the owner.
        """
        related = set(self._related(owner))
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and node.attr == name and self._may_be_of(node.value, related):
                yield node

    def _may_be_of(self, node: ast.expr, related: set[ast.ClassDef]) -> bool:
        """Whether an expression may be an instance of one of these classes: anything but `self` in another class."""
        function = self.function_of(node) if ast.unparse(node) == "self" else None
        owner = self.owner(function) if function is not None else None
        return owner is None or owner in related

    def may_be_set_by_name(self, owner: ast.ClassDef, name: str) -> bool:
        """Whether the file sets attributes by names that it computes (``setattr``, ``self.__dict__.update``), and this
        one of a class may be one of them.
        """
        related = set(self._related(owner))
        for node in ast.walk(self.tree):
            if self._writes_dict(node, related):
                return True
            if not isinstance(node, ast.Name) or node.id not in ("setattr", "delattr"):
                continue
            call = self.parents.get(node)
            if isinstance(call, ast.Call) and call.args and not self._may_be_of(call.args[0], related):
                continue
            given = call.args[1] if isinstance(call, ast.Call) and call.func is node and len(call.args) > 1 else None
            start = _start_of_text(given)
            if not start or (name == start if isinstance(given, ast.Constant) else name.startswith(start)):
                return True
        return False

    def _writes_dict(self, node: ast.AST, related: set[ast.ClassDef]) -> bool:
        """``self.__dict__[name] = value``, ``vars(net).update(…)``, ``object.__setattr__(net, name, value)``."""
        above = self.parents.get(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "vars" and len(node.args) == 1:
            holder = node.args[0]
        elif isinstance(node, ast.Attribute) and node.attr in ("__dict__", "__setattr__"):
            holder = node.value
        else:
            return False
        if not self._may_be_of(holder, related):
            return False
        if isinstance(node, ast.Attribute) and node.attr == "__setattr__":
            function = self.function_of(node)
            return function is None or function.name != "__setattr__"
        changes = isinstance(above, ast.Attribute) and above.attr in ("update", "setdefault", "pop", "clear")
        return changes or (isinstance(above, ast.Subscript) and not isinstance(above.ctx, ast.Load))

    def means(self, node: ast.AST, *paths: str) -> bool:
        """Whether a dotted name is one of these members of imported modules, however it is imported."""
        return self.path_of(node) in paths

    def path_of(self, node: ast.AST) -> str:
        """The import path of a dotted name, itself where nothing imports it; empty for what is none."""
        text = _dotted(node)
        if not text:
            return ""
        first, _, rest = text.partition(".")
        target = self.classes.imports.get(first, first)
        return f"{target}.{rest}" if rest else target


Rewriter = Callable[[Situation, Place], Iterator[Rewrite]]

_CONSTANTS = {int: "int", float: "float", bool: "bool", str: "str", type(None): "None"}
_OPEN = re.compile(r"\?")


def joined(kinds: set[str]) -> str | None:
    """The one type that several sightings of a name make: with None it is optional, an empty container takes the
    type of a full one.
    """
    full = {kind for kind in kinds if not _OPEN.search(kind)} or kinds
    rest = full - {"None"}
    if len(rest) > 1 and rest == {"int", "float"}:
        rest = {"float"}
    if len(rest) != 1:
        inner = {kind[len("Optional[") : -1] if kind.startswith("Optional[") else kind for kind in rest}
        return f"Optional[{inner.pop()}]" if len(inner) == 1 else None
    kind = rest.pop()
    return f"Optional[{kind}]" if "None" in full and not kind.startswith("Optional[") else kind


def holdable(kind: str | None) -> bool:
    """Whether TorchScript has values of a type, all of which is known."""
    return kind is not None and "!" not in kind and "?" not in kind


def _start_of_text(node: ast.expr | None) -> str:
    """The literal text that a computed text begins with; empty if it begins otherwise."""
    if isinstance(node, ast.JoinedStr) and node.values:
        return _start_of_text(node.values[0])
    if isinstance(node, ast.BinOp):
        text = _start_of_text(node.left)
        return text.partition("%")[0] if isinstance(node.op, ast.Mod) else text
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _start_of_text(node.func.value).partition("{")[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
