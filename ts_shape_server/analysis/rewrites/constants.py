"""What is fixed once a module is built, said so that TorchScript can leave out the branches that are not taken: bool
attributes as `Final`, comparisons of attributes as bool attributes of their own, globals as class constants.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.building import at_end
from ts_shape_server.analysis.rewrites.situation import SIGNATURE, Definition, Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation

_SIMPLE = ("int", "float", "bool", "str")


def final_flags(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``if self.flag`` is compiled one way only if `flag` is a `Final[bool]`."""
    owner = place.owner
    if owner is None:
        return
    names = [
        node.attr
        for test in _tests(place)
        for node in _conditions(test)
        if _own_attribute(node) and situation.type_of(node) == "bool" and isinstance(node, ast.Attribute)
    ]
    fixed = [name for name in dict.fromkeys(names) if name != "training" and _set_once(situation, owner, name)]
    if not fixed:
        return
    qualified = situation.qualified(owner)
    edits = situation.annotated([Annotation(qualified, "", name, "Final[bool]", True) for name in fixed])
    if edits:
        listed = ", ".join(f"`self.{name}`" for name in fixed)
        yield Rewrite(
            "final-attributes",
            f"Say that {listed} {'is' if len(fixed) == 1 else 'are'} fixed once built (`Final`)",
            edits,
        )


def _tests(place: Place) -> Iterator[ast.expr]:
    """The conditions of a function that may decide whether a refused place is compiled."""
    for node in ast.walk(place.function):
        if isinstance(node, (ast.If, ast.IfExp)):
            yield node.test


def _conditions(test: ast.expr) -> Iterator[ast.expr]:
    """The parts of a condition that TorchScript can decide one by one."""
    if isinstance(test, ast.BoolOp):
        for item in test.values:
            yield from _conditions(item)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _conditions(test.operand)
    else:
        yield test


def _own_attribute(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _set_once(situation: Situation, owner: ast.ClassDef, name: str) -> bool:
    """Whether no method of the class but its constructor sets an attribute."""
    for function in situation.functions:
        if situation.owner(function) is not owner or function.name == "__init__":
            continue
        for node in ast.walk(function):
            if not _own_attribute(node) or not isinstance(node, ast.Attribute) or node.attr != name:
                continue
            if not isinstance(node.ctx, ast.Load):
                return False
    return True


def decided_in_constructor(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``if self.mode == "sum"`` as a `Final[bool]` that the constructor sets."""
    owner = place.owner
    initialiser = situation.method(owner, "__init__") if owner is not None else None
    if owner is None or not isinstance(initialiser, ast.FunctionDef) or place.function.name == "__init__":
        return
    made: dict[str, str] = {}
    edits: list[TextEdit] = []
    for test in _tests(place):
        for node in _conditions(test):
            text = situation.text(node)
            if not _is_fixed(situation, owner, initialiser, node) or "\n" in text:
                continue
            if text not in made:
                made[text] = _flag_name(situation, node, set(made.values()))
            edits.append(situation.replace(node, f"self.{made[text]}"))
    if not made:
        return
    newline = situation.source.newline + situation.indent(initialiser.body[0])
    line = at_end(situation, initialiser, newline.join(f"self.{name} = {text}" for text, name in made.items()))
    if line is None:
        return
    qualified = situation.qualified(owner)
    final = [Annotation(qualified, "", name, "Final[bool]", True) for name in made.values()]
    listed = ", ".join(f"`{text}`" for text in made)
    yield Rewrite(
        "decide-in-constructor",
        f"Decide {listed} once, in `__init__`",
        (*situation.annotated(final), line, *edits),
        SIGNATURE,
    )


def _is_fixed(situation: Situation, owner: ast.ClassDef, initialiser: ast.FunctionDef, node: ast.expr) -> bool:
    """Whether a condition compares attributes that only the constructor sets with constants, or asks whether one that
    is a function is None.
    """
    if not isinstance(node, (ast.Compare, ast.Call, ast.Attribute)) or isinstance(node, ast.Attribute):
        return False
    if isinstance(node, ast.Call):
        return False
    attributes = 0
    asks = len(node.ops) == 1 and isinstance(node.ops[0], (ast.Is, ast.IsNot))
    if asks and not (isinstance(node.comparators[0], ast.Constant) and node.comparators[0].value is None):
        return False
    for item in [node.left, *node.comparators]:
        if _own_attribute(item) and isinstance(item, ast.Attribute):
            if not _stays(situation, owner, item.attr):
                return False
            kind = situation.type_of(item)
            if asks and (kind is None or not kind.startswith("!") or kind.startswith("!torch.nn.modules")):
                return False
            if not asks and kind not in (*_SIMPLE, None):
                return False
            if not any(
                _own_attribute(each) and getattr(each, "attr", "") == item.attr for each in ast.walk(initialiser)
            ):
                return False
            attributes += item.attr != "training"
        elif not _is_literal(item):
            return False
    simple = all(
        isinstance(item, (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)) for item in node.ops
    )
    return bool(attributes) and (simple or asks)


def _stays(situation: Situation, owner: ast.ClassDef, name: str) -> bool:
    """Whether an attribute keeps what it is at the end of the constructor: only it, and those of the bases, set it. A
    class that inherits may set it behind that, and so may who holds an instance.
    """
    if situation.may_be_set_by_name(owner, name):
        return False
    making = {situation.method(base, "__init__") for base in situation.bases(owner)}
    return all(
        isinstance(node.ctx, ast.Load) or (ast.unparse(node.value) == "self" and situation.function_of(node) in making)
        for node in situation.attributes_of(owner, name)
    )


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


_WORDS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("is", "is"),
    ast.NotEq: ("is_not", "is_not"),
    ast.Is: ("is", "is"),
    ast.IsNot: ("is_not", "is_not"),
    ast.Lt: ("under", "over"),
    ast.LtE: ("at_most", "at_least"),
    ast.Gt: ("over", "under"),
    ast.GtE: ("at_least", "at_most"),
    ast.In: ("in", "has"),
    ast.NotIn: ("not_in", "has_not"),
}
"""Comparisons in the names of flags, as they are written and the other way round."""


def _flag_name(situation: Situation, node: ast.expr, taken: set[str]) -> str:
    """``self.width > 0`` as `_width_over_0`: the attribute comes first."""
    assert isinstance(node, ast.Compare)
    parts = [node.left, *node.comparators]
    turned = len(parts) == 2 and not _own_attribute(parts[0]) and _own_attribute(parts[1])
    words = [_WORDS[type(operator)][turned] for operator in node.ops]
    texts = [situation.text(item).removeprefix("self.").strip("_") for item in (parts[::-1] if turned else parts)]
    joined = "_".join([texts[0], *(f"{word}_{text}" for word, text in zip(words, texts[1:], strict=True))])
    name = base = situation.free_name("_" + re.sub(r"[\W_]+", "_", joined).strip("_").lower()[:39])
    number = 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def class_values(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``expansion = 4`` in the body of a class: TorchScript knows it if it is a `Final`."""
    said = place.says("attribute-missing", "attribute-unsupported", "attribute-function")
    if said is None or place.owner is None:
        return
    attribute = said.fact("attribute")
    for owner in situation.bases(place.owner):
        for node in owner.body:
            if not isinstance(node, ast.Assign) or attribute not in _targets(node) or len(node.targets) != 1:
                continue
            kind = _kind_of_literal(node.value)
            if kind is None or not _set_once(situation, place.owner, attribute):
                return
            speller = situation.spelling()
            span = situation.range_of(node.targets[0])
            where = Range(span.end_line, span.end_column, span.end_line, span.end_column)
            edits = (TextEdit(where, f": {speller.of(f'Final[{kind}]')}"), *speller.imports())
            yield Rewrite(
                "final-attribute-of-value", f"Say that `{attribute}` of `{owner.name}` is fixed (`Final`)", edits
            )
            return


def _kind_of_literal(node: ast.expr) -> str | None:
    """The type of a literal; None if TorchScript has none for it."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    if type(value).__name__ in _SIMPLE:
        return type(value).__name__
    if not isinstance(value, (list, tuple)) or not value:
        return None
    kinds = [type(item).__name__ for item in value]
    if any(kind not in _SIMPLE for kind in kinds):
        return None
    if isinstance(value, tuple):
        return f"Tuple[{', '.join(kinds)}]"
    return f"List[{kinds[0]}]" if len(set(kinds)) == 1 else None


def global_values(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """A global number or text: a constant of the class in a method, a parameter's default in a function."""
    said, node = place.says("python-value"), place.node
    kind = said.fact("type") if said is not None else ""
    if kind not in _SIMPLE or not isinstance(node, ast.Name) or node.id in situation.classes.imports:
        return
    tops = [item for statement in situation.tree.body for item in _targets(statement)]
    if tops.count(node.id) != 1:
        return
    uses = [item for item in ast.walk(place.function) if isinstance(item, ast.Name) and item.id == node.id]
    if any(not isinstance(item.ctx, ast.Load) for item in uses):
        return
    if place.owner is not None:
        yield from _class_constant(situation, place.owner, node.id, kind)
        return
    written = _literal_of(situation, node.id)
    if written is not None:
        edits = tuple(situation.replace(item, written) for item in uses)
        yield Rewrite("global-value", f"Write the value of `{node.id}`", edits)


def _targets(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Assign):
        yield from (item.id for item in statement.targets if isinstance(item, ast.Name))


def _literal_of(situation: Situation, name: str) -> str | None:
    for statement in situation.tree.body:
        if name in _targets(statement) and isinstance(statement, ast.Assign) and _is_literal(statement.value):
            return situation.text(statement.value)
    return None


def _class_constant(situation: Situation, owner: ast.ClassDef, name: str, kind: str) -> Iterator[Rewrite]:
    uses: list[ast.Name] = []
    for function in situation.functions:
        if situation.owner(function) is owner and function.name != "__init__" and _is_bound(function):
            uses += [
                item
                for statement in function.body
                for item in ast.walk(statement)
                if isinstance(item, ast.Name) and item.id == name and isinstance(item.ctx, ast.Load)
            ]
    first = owner.body[0]
    if isinstance(first, ast.Expr) and len(owner.body) > 1:
        first = owner.body[1]
    if first.lineno == owner.lineno or not uses:
        return
    speller = situation.spelling()
    number = min([first.lineno, *(item.lineno for item in getattr(first, "decorator_list", []))])
    above = situation.before(_At(number, first), f"{name}: {speller.of(f'Final[{kind}]')} = {name}\n")
    edits = (above, *(situation.replace(item, f"self.{name}") for item in uses), *speller.imports())
    yield Rewrite("class-constant", f"Make `{name}` a constant of `{owner.name}`", edits)


class _At(ast.AST):
    """A place at the start of a line, where a statement's decorators are."""

    def __init__(self, line: int, like: ast.stmt) -> None:
        super().__init__()
        self.lineno = self.end_lineno = line
        self.col_offset = self.end_col_offset = like.col_offset


def _is_bound(function: Definition) -> bool:
    return not function.decorator_list and bool(function.args.args) and isinstance(function, FUNCTIONS)
