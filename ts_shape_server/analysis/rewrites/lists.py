"""What Python makes of a list in one word and TorchScript cannot: the sum of Tensors, the product of sizes, a tuple of
as many items as there are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation, holdable
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.analysis.spelling import TypeSpelling
from ts_shape_server.contract.places import TextEdit

_PRODUCTS = ("numpy.prod", "math.prod", "numpy.product")
_REDUCING = ("functools.reduce", "reduce", "_functools.reduce")


def summed(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``sum(parts)`` of Tensors as a call of a function that adds them up, of plain numbers with a list."""
    edits: list[TextEdit] = []
    tensors = False
    for node in ast.walk(place.statement):
        if not _is_call(node, "sum") or not isinstance(node, ast.Call) or len(node.args) != 1:
            continue
        given = node.args[0]
        text, kind = _as_list(situation, given)
        if kind == "Tensor":
            tensors = True
            edits.append(situation.replace(node, f"total_of({text})"))
        elif kind in ("int", "float", "bool") and isinstance(given, ast.GeneratorExp):
            edits.append(situation.replace(node, f"sum({text})"))
    function = _defined(situation, _TOTAL) if tensors else []
    if edits and tensors and function is not None:
        yield Rewrite("tensor-sum", "Add the Tensors up in a function `total_of`", (*edits, *function))
    elif edits and not tensors:
        yield Rewrite("list-sum", "Sum a list", tuple(edits))


def multiplied(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``np.prod(x.shape[1:])`` and ``reduce(mul, sizes)`` as a call of a function that multiplies the sizes."""
    edits: list[TextEdit] = []
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.Call) or node.keywords:
            continue
        product = situation.path_of(node.func) in _PRODUCTS and len(node.args) == 1
        given = node.args[0] if product else _multiplied(situation, node)
        if given is None or not (situation.type_of(given) or "").startswith("List[int"):
            continue
        edits.append(situation.replace(node, f"product_of({situation.text(given)})"))
    function = _defined(situation, _PRODUCT) if edits else None
    if function is not None:
        yield Rewrite("size-product", "Multiply the sizes in a function `product_of`", (*edits, *function))


_TAKING_LISTS = frozenset(f"torch.{name}" for name in ("cat", "concat", "stack", "hstack", "vstack", "dstack"))
"""Functions of torch's to which a list of tensors is the same as a tuple."""


def tuples(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``return tuple(outputs)``: TorchScript gives the list, since its tuples have a fixed length."""
    statement = place.statement
    calls = [item for item in ast.walk(statement) if isinstance(item, ast.Call)]
    node = next((item for item in calls if _is_tuple_of_list(situation, item)), None)
    if node is None or not situation.alone(statement):
        return
    text, _ = _as_list(situation, node.args[0])
    above = situation.parents.get(node)
    if isinstance(above, ast.Call) and above.args[:1] == [node] and situation.path_of(above.func) in _TAKING_LISTS:
        yield Rewrite("plain-argument", f"Pass `{text}` as a list", (situation.replace(node, text),))
        return
    if isinstance(above, (ast.Call, ast.keyword)):
        if text.startswith("[") or not (situation.type_of(node.args[0]) or "").startswith("List[int"):
            return
        yield Rewrite("plain-argument", f"Pass `{text}` as it is", (situation.replace(node, text),))
        return
    if not isinstance(statement, (ast.Return, ast.Assign)) or "\n" in text:
        return
    yield _list_in_script(situation, place, statement, node, text)


def _list_in_script(
    situation: Situation, place: Place, statement: ast.Return | ast.Assign, node: ast.Call, text: str
) -> Rewrite:
    """The list under a name, which Python alone makes a tuple."""
    given = node.args[0]
    simple = isinstance(given, ast.Name)
    indent = situation.indent(statement)
    step = situation.indent(place.function.body[0])[len(situation.indent(place.function)) :] or "    "
    head = f"if not {situation.torch_name()}.jit.is_scripting():"
    newline = situation.source.newline + indent
    title = f"Give `{text}` as a list where TorchScript runs"
    if simple and isinstance(statement, ast.Return) and statement.value is node:
        lines = [head, f"{step}return tuple({text})", f"return {text}"]
        return Rewrite(
            "list-where-scripted", title, (situation.replace(statement, newline.join(lines)), *situation.torch_import())
        )
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if isinstance(target, ast.Name) and statement.value is node:
        lines = [head, f"{step}{target.id} = tuple({text})"]
        if text != target.id:
            lines = [f"{target.id} = {text}", head, f"{step}{target.id} = tuple({target.id})"]
        return Rewrite(
            "list-where-scripted", title, (situation.replace(statement, newline.join(lines)), *situation.torch_import())
        )
    name = situation.free_name("items", place.function)
    above = situation.before(statement, "\n".join([f"{name} = {text}", head, f"{step}{name} = tuple({name})"]))
    return Rewrite("list-where-scripted", title, (above, situation.replace(node, name), *situation.torch_import()))


def _is_tuple_of_list(situation: Situation, node: ast.Call) -> bool:
    if not _is_call(node, "tuple") or len(node.args) != 1:
        return False
    given = node.args[0]
    if isinstance(given, ast.GeneratorExp):
        return holdable(situation.type_of(given.elt)) and not any(item.ifs for item in given.generators)
    kind = situation.type_of(given) or ""
    return kind.startswith("List[") and holdable(kind)


def _is_call(node: ast.AST, name: str) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    return called and isinstance(node, ast.Call) and not node.keywords


def _as_list(situation: Situation, node: ast.expr) -> tuple[str, str]:
    """The text of a list of the same items, and the type of one; empty where it is not known."""
    text = situation.text(node)
    if isinstance(node, ast.GeneratorExp):
        bare = text[1:-1] if text.startswith("(") and text.endswith(")") else text
        return f"[{bare}]", situation.type_of(node.elt) or ""
    kind = situation.type_of(node) or ""
    if kind.startswith("List["):
        return text, kind[len("List[") : -1]
    items = kind[len("Tuple[") : -1].split(", ") if kind.startswith("Tuple[") else []
    if isinstance(node, ast.Tuple) and set(items) == {"Tensor"}:
        return f"[{', '.join(situation.text(item) for item in node.elts)}]", "Tensor"
    return text, ""


def _multiplied(situation: Situation, call: ast.Call) -> ast.expr | None:
    """What ``reduce`` multiplies."""
    if situation.path_of(call.func) not in _REDUCING or not 2 <= len(call.args) <= 3:
        return None
    function, given, *start = call.args
    if start and not (isinstance(start[0], ast.Constant) and start[0].value == 1):
        return None
    if situation.path_of(function) == "operator.mul":
        return given
    if isinstance(function, ast.Lambda) and isinstance(function.body, ast.BinOp):
        names = {item.id for item in (function.body.left, function.body.right) if isinstance(item, ast.Name)}
        if isinstance(function.body.op, ast.Mult) and names == {item.arg for item in function.args.args}:
            return given if len(names) == 2 else None
    return None


_TOTAL = """def total_of(tensors: {List[Tensor]}) -> {Tensor}:
    total = {torch}.tensor(0)
    for tensor in tensors:
        total = total + tensor
    return total"""
_PRODUCT = """def product_of(sizes: {List[int]}) -> int:
    product = 1
    for size in sizes:
        product = product * size
    return product"""


def _defined(situation: Situation, function: str) -> list[TextEdit] | None:
    """The edits that add a function above all others, none if the file has it; None where its name is taken."""
    speller = situation.spelling()
    text = re.sub(r"\{(.*?)\}", lambda match: _spelled(situation, speller, match.group(1)), function)
    name = function[len("def ") : function.index("(")]
    first = next(item for item in situation.tree.body if isinstance(item, (*FUNCTIONS, ast.ClassDef)))
    for node in situation.tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return [] if situation.text(node).splitlines() == text.splitlines() else None
    if situation.free_name(name) != name:
        return None
    return [situation.above(first, text.split("\n")), *speller.imports(), *situation.torch_import()]


def _spelled(situation: Situation, speller: TypeSpelling, word: str) -> str:
    return situation.torch_name() if word == "torch" else speller.of(word)
