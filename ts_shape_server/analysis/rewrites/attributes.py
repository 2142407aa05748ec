"""Attributes as TorchScript has them: what `forward` reads of an object with settings is read once, in `__init__`, and
what `forward` sets first has a value from there on.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.building import at_end
from ts_shape_server.analysis.rewrites.locals import EMPTY
from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation, holdable
from ts_shape_server.contract.places import TextEdit
from ts_shape_server.contract.report import Annotation


def settings(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.args.width`` in `forward` as an attribute that `__init__` sets."""
    initialiser = situation.method(place.owner, "__init__") if place.owner is not None else None
    root = _root(situation, place)
    if root is None or not isinstance(initialiser, ast.FunctionDef) or place.function is initialiser:
        return
    found = list(_values(situation, place, root))
    for nodes in dict.fromkeys((tuple(found), tuple(item for item in found if not situation.idle(item)))):
        made = {situation.text(node): _name(situation.text(node)) for node in nodes}
        if not made or len(set(made.values())) < len(made):
            continue
        written = [line.strip() for line in situation.text(initialiser).splitlines()]
        lines = [line for line in (f"self.{name} = {text}" for text, name in made.items()) if line not in written]
        above = [edit for edit in (at_end(situation, initialiser, line) for line in lines) if edit is not None]
        if len(above) == len(lines):
            edits = [situation.replace(node, f"self.{made[situation.text(node)]}") for node in nodes]
            listed = ", ".join(f"`{text}`" for text in made)
            yield Rewrite("read-in-constructor", f"Read {listed} once, in `__init__`", (*above, *edits))


def _name(text: str) -> str:
    return "_" + re.sub(r"\W+", "_", text.removeprefix("self.")).strip("_").lower()


def _values(situation: Situation, place: Place, root: str) -> Iterator[ast.AST]:
    """What a function reads of an object, as far as no function of the class sets it."""
    methods = [item for item in situation.functions if situation.owner(item) is place.owner]
    stored = {
        situation.text(node)
        for function in methods
        for node in ast.walk(function)
        if function.name != "__init__" and isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
    }
    for node in ast.walk(place.function):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and _is_value(situation, node, root):
            text = situation.text(node)
            if "\n" not in text and not any(
                text == item or text.startswith((f"{item}.", f"{item}[")) for item in stored
            ):
                yield node


def _root(situation: Situation, place: Place) -> str | None:
    """The text of the object with settings that a refusal is about: an attribute, or a global."""
    held = place.says("attribute-unsupported")
    if held is not None:
        return f"self.{held.fact('attribute')}"
    node = place.node
    chain: list[ast.AST] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        chain.append(node)
        node = node.value
    if place.says("method-unknown") is not None and len(chain) > 1 and ast.unparse(node) == "self":
        # An object whose class TorchScript has compiled: it has no attributes of the class.
        return situation.text(chain[-1]) if "!" in (situation.type_of(chain[-1]) or "") else None
    if place.says("python-value", "attribute-lookup") is None or not isinstance(node, ast.Name):
        return None
    local = {item.id for item in ast.walk(place.function) if isinstance(item, ast.Name) and _is_stored(item)}
    local |= {item.arg for item in ast.walk(place.function.args) if isinstance(item, ast.arg)}
    module = situation.classes.imports.get(node.id, "").split(".")[0] in ("torch", "numpy", "math")
    return None if node.id in local or module else node.id


def _is_stored(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _is_value(situation: Situation, node: ast.AST, root: str) -> bool:
    """Whether an expression goes from the object by names and literal keys to a value that TorchScript has."""
    if not isinstance(node, (ast.Attribute, ast.Subscript)) or not isinstance(node.ctx, ast.Load):
        return False
    above = situation.parents.get(node)
    further = isinstance(above, (ast.Attribute, ast.Subscript)) and above.value is node
    kind = situation.type_of(node)
    if kind is None and (further or not situation.idle(node) or (isinstance(above, ast.Call) and above.func is node)):
        return False
    if kind is not None and (not holdable(kind) or kind == "Tensor"):
        return False
    current: ast.expr = node
    while situation.text(current) != root:
        if isinstance(current, ast.Subscript) and not isinstance(current.slice, ast.Constant):
            return False
        if not isinstance(current, (ast.Attribute, ast.Subscript)):
            return False
        current = current.value
    return current is not node


def first_set(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.size = x.size(0)`` in `forward` of what `__init__` does not set: there it gets a value of that type."""
    found = place.says("attribute-first-set", "attribute-missing")
    initialiser = situation.method(place.owner, "__init__") if place.owner is not None else None
    if found is None or not isinstance(initialiser, ast.FunctionDef) or place.owner is None:
        return
    name = found.fact("attribute")
    if any(isinstance(node, ast.Constant) and node.value == name for node in ast.walk(situation.tree)):
        yield from _in_python_only(situation, place, name)
        return
    kinds = {situation.type_of(value) for value in _set_to(place.owner, name)} - {None}
    kind = kinds.pop() if len(kinds) == 1 else None
    typed: tuple[TextEdit, ...] = ()
    if kind in EMPTY:
        text = f"self.{name} = {EMPTY[kind]}".replace("torch.", f"{situation.torch_name()}.")
    elif kind is not None and re.fullmatch(r"Tuple\[Tensor(, Tensor)+\]", kind):
        empty = [EMPTY["Tensor"]] * (kind.count(",") + 1)
        text = f"self.{name} = ({', '.join(empty)})".replace("torch.", f"{situation.torch_name()}.")
    elif kind is not None and kind.startswith("List[") and holdable(kind):
        text = f"self.{name} = []"
        typed = situation.annotated([Annotation(situation.qualified(place.owner), "", name, kind, True)])
    else:
        return
    edit = at_end(situation, initialiser, text)
    if edit is not None:
        extra = situation.torch_import() if "torch" in text else []
        yield Rewrite("attribute-in-constructor", f"Set `self.{name}` in `__init__` first", (edit, *typed, *extra))


def _in_python_only(situation: Situation, place: Place, name: str) -> Iterator[Rewrite]:
    """Of an attribute that something asks for with `hasattr`: the script does not set it, where nothing that runs reads
    it. A value that a later call takes up is no such thing.
    """
    statement = place.statement
    if any(_reads(function, name) and _runs(situation, function) for function in situation.functions):
        return
    if not isinstance(statement, ast.Assign) or not situation.alone(statement) or "\n" in situation.text(statement):
        return
    step = situation.indent(place.function.body[0])[len(situation.indent(place.function)) :] or "    "
    text = f"if not {situation.torch_name()}.jit.is_scripting():\n{step}".replace(
        "\n", situation.source.newline + situation.indent(statement)
    )
    edits = (situation.replace(statement, text + situation.text(statement)), *situation.torch_import())
    yield Rewrite("attribute-in-python-only", f"Set `self.{name}` where Python runs only", edits)


def _reads(function: Definition, name: str) -> bool:
    """Whether a function reads an attribute, or asks for it by its name."""
    return any(
        (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node) == f"self.{name}")
        or (isinstance(node, ast.Constant) and node.value == name)
        for node in ast.walk(function)
    )


def _runs(situation: Situation, function: Definition) -> bool:
    """Whether a run came through a function."""
    owner = situation.owner(function)
    name = situation.qualified(owner) if owner is not None else ""
    return any((item.owner, item.function) == (name, function.name) for item in situation.state.annotations)


def _set_to(owner: ast.ClassDef, name: str) -> Iterator[ast.expr]:
    """The values that the methods of a class give an attribute."""
    for node in ast.walk(owner):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(node, ast.Assign) and ast.unparse(target) == f"self.{name}":
                yield node.value
