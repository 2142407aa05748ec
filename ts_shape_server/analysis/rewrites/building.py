"""How a class builds its modules: those that `forward` builds each time, which TorchScript cannot do, move into
`__init__`, and layers get arguments of the type that their operators take.

Only modules without weights and without a mode of their own move, and only where their arguments are plain constants:
nothing is lost then by building them once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import Range, TextEdit

_WITHOUT_WEIGHTS = re.compile(
    r"(Log)?Softmax(2d)?|Softmin|Sigmoid|Tanh|ReLU6?|LeakyReLU|ELU|SELU|GELU|SiLU|Softplus|Hardtanh|Hardsigmoid|Hardswish"
    r"|Identity|Flatten|Unflatten|Upsample|UpsamplingNearest2d|UpsamplingBilinear2d|PixelShuffle|\w*Pool[123]d|Unfold|Fold"
    r"|\w+Pad[123]d|CosineSimilarity|PairwiseDistance|\w*Loss"
)


def built_once(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``nn.Softmax(dim=1)(x)`` in `forward`: built in `__init__`, called in `forward`."""
    call = place.node
    if not isinstance(call, ast.Call):
        above = situation.parents.get(call)
        call = above if isinstance(above, ast.Call) and above.func is call else call
    owner = place.owner
    if not isinstance(call, ast.Call) or owner is None or not _is_plain(situation, call):
        return
    initialiser = situation.method(owner, "__init__")
    if initialiser is None or isinstance(initialiser, ast.AsyncFunctionDef):
        return
    kind = _last_name(call.func)
    name = situation.free_attribute(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower())
    made = at_end(situation, initialiser, f"self.{name} = {situation.text(call)}")
    if made is None:
        return
    statement = place.statement
    if isinstance(statement, ast.Assign) and statement.value is call and len(statement.targets) == 1:
        target = statement.targets[0]
        if not isinstance(target, ast.Name) or not situation.alone(statement):
            return
        stores = [node for node in ast.walk(place.function) if _names(node, target.id) and _is_store(node)]
        if len(stores) != 1:
            return
        block = situation.block_of(statement) or []
        removed = removal(situation, statement) if len(block) > 1 else situation.replace(statement, "pass")
        uses = [node for node in ast.walk(place.function) if _names(node, target.id) and not _is_store(node)]
        edits = [made, removed, *(situation.replace(node, f"self.{name}") for node in uses)]
    else:
        edits = [made, situation.replace(call, f"self.{name}")]
    yield Rewrite("build-in-constructor", f"Build `{kind}` once, in `__init__`", tuple(edits))


_FLOATS: dict[str, tuple[tuple[str, int], ...]] = {
    r"(Alpha|FeatureAlpha)?Dropout[123]?d?": (("p", 0),),
    r"LeakyReLU": (("negative_slope", 0),),
    r"ELU|CELU": (("alpha", 0),),
    r"Hardtanh": (("min_val", 0), ("max_val", 1)),
    r"Threshold": (("threshold", 0), ("value", 1)),
    r"(Batch|Instance)Norm[123]d": (("eps", 1), ("momentum", 2)),
    r"LayerNorm": (("eps", 1),),
    r"GroupNorm": (("eps", 2),),
}
"""The arguments of torch's layers that their operators take as floats, with their positions."""


def floats_for_layers(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``nn.Dropout(0)``: Python takes the int, the compiled operator does not."""
    said, owner = place.says("expected-types"), place.owner
    if said is None or owner is None:
        return
    columns = zip(said.list("arguments"), said.list("expected"), said.list("got"), strict=True)
    wanted = next((name for name, expected, got in columns if (expected, got) == ("float", "int")), None)
    if wanted is None:
        return
    edits: list[TextEdit] = []
    for node in ast.walk(owner):
        if isinstance(node, ast.Call) and situation.path_of(node.func).startswith("torch.nn."):
            value = _float_argument(node, wanted)
            if isinstance(value, ast.Constant) and type(value.value) is int:
                edits.append(situation.replace(value, f"{value.value}.0"))
            elif value is not None and not isinstance(value, ast.Constant):
                edits.append(situation.replace(value, f"float({situation.text(value)})"))
    if edits:
        yield Rewrite("float-argument", f"Give layers a float for `{wanted}`", tuple(edits))


def _float_argument(call: ast.Call, name: str) -> ast.expr | None:
    kind = _last_name(call.func)
    for pattern, arguments in _FLOATS.items():
        position = dict(arguments).get(name)
        if position is None or not re.fullmatch(pattern, kind):
            continue
        given = next((item.value for item in call.keywords if item.arg == name), None)
        plain = call.args[: position + 1]
        if given is None and len(plain) > position and not any(isinstance(item, ast.Starred) for item in plain):
            given = plain[position]
        already = isinstance(given, ast.Call) and _last_name(given.func) == "float"
        return None if already else given
    return None


def _names(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_store(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _is_plain(situation: Situation, call: ast.Call) -> bool:
    path = situation.path_of(call.func)
    if not path.startswith("torch.nn.") or not _WITHOUT_WEIGHTS.fullmatch(_last_name(call.func)):
        return False
    values = [*call.args, *(item.value for item in call.keywords)]
    return all(_is_constant(item) for item in values) and all(item.arg for item in call.keywords)


def _is_constant(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def at_end(situation: Situation, function: ast.FunctionDef, text: str) -> TextEdit | None:
    """A line at the end of a function's body; None where its last statement leaves it or shares a line."""
    last = function.body[-1]
    if not situation.alone(last) or isinstance(last, (ast.Return, ast.Raise)) or last.lineno == function.lineno:
        return None
    if any(isinstance(node, ast.Return) for node in ast.walk(function) if not isinstance(node, FUNCTIONS)):
        return None
    line = situation.range_of(last).end_line
    column = len(situation.source.line(line))
    place = Range(line, column, line, column)
    return TextEdit(place, situation.source.newline + situation.indent(function.body[0]) + text)


def removal(situation: Situation, statement: ast.stmt) -> TextEdit:
    """The edit that takes a statement out, with the lines that it has to itself. A comment at their end stays."""
    span = situation.range_of(statement)
    comment = situation.comment_after(statement)
    kept = situation.indent(statement) + comment + situation.source.newline if comment else ""
    return TextEdit(Range(span.line, 0, span.end_line + 1, 0), kept)


_FIRST_WEIGHT: dict[str, str] = {
    r"Linear|Bilinear|(Conv|ConvTranspose)[123]d|Embedding|EmbeddingBag|BatchNorm[123]d|LayerNorm|GroupNorm|PReLU": (
        "weight"
    ),
    r"LSTM|GRU|RNN": "weight_ih_l0",
    r"(LSTM|GRU|RNN)Cell": "weight_ih",
}
"""The first parameter of torch's layers."""
_NONE_OF_THEM = re.compile(rf"({_WITHOUT_WEIGHTS.pattern})|\w*Dropout[123]?d?")


def first_parameter(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``next(self.parameters())`` by its name, where the constructor shows which one is the first."""
    owner = place.owner
    initialiser = situation.method(owner, "__init__") if owner is not None else None
    if not isinstance(initialiser, ast.FunctionDef):
        return
    # In a `try` somebody says what is done where there is none.
    tried = {inner for node in ast.walk(place.function) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    calls = [node for node in ast.walk(place.function) if _asks_for_first(node) and node not in tried]
    name = _first_of(situation, initialiser) if calls else None
    if name is not None:
        edits = tuple(situation.replace(node, name) for node in calls)
        yield Rewrite("first-parameter", f"Write `next(self.parameters())` as `{name}`", edits)


def first_parameter_of(situation: Situation, owner: ast.ClassDef | None, node: ast.expr) -> str | None:
    """The name of what ``next(self.parameters())`` gives; None for another expression, or where that is not known."""
    initialiser = situation.method(owner, "__init__") if owner is not None else None
    if not isinstance(initialiser, ast.FunctionDef) or not _asks_for_first(node):
        return None
    return _first_of(situation, initialiser)


def is_parameter(situation: Situation, owner: ast.ClassDef | None, node: ast.expr) -> bool:
    """Whether the constructor always sets an attribute to a parameter, or to a layer of torch's that has it, and
    nothing in the file sets it to anything else.
    """
    initialiser = situation.method(owner, "__init__") if owner is not None else None
    for statement in initialiser.body if initialiser is not None else ():
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
            continue
        if not all(_is_set_once(situation, target) for target in statement.targets):
            continue
        made = [ast.unparse(target) for target in statement.targets]
        if situation.means(statement.value.func, "torch.nn.Parameter"):
            inner: str | None = ""
        else:
            inner = _first_in(situation, statement.value) or None
        if inner is not None and ast.unparse(node) in [name + inner for name in made]:
            return True
    return False


def _is_set_once(situation: Situation, target: ast.expr) -> bool:
    """Whether a statement is the only one of the file that sets this attribute of its class. A name that is computed
    (``setattr``) may be any.
    """
    function = situation.function_of(target)
    owner = situation.owner(function) if function is not None else None
    if not isinstance(target, ast.Attribute) or owner is None:
        return False
    if situation.may_be_set_by_name(owner, target.attr):
        return False
    places = situation.attributes_of(owner, target.attr)
    return all(node is target or isinstance(node.ctx, ast.Load) for node in places)


def _asks_for_first(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node) == "next(self.parameters())"


def _first_of(situation: Situation, initialiser: ast.FunctionDef, depth: int = 4) -> str | None:
    """The first parameter of a class: its own come before those of its modules. None if it has none, or what the
    constructor decides may be another one.
    """
    found: str | None = None
    for statement in initialiser.body:
        if isinstance(statement, (ast.If, ast.For, ast.While, ast.With, ast.Try)):
            if found is None or _holds_parameter(situation, statement, found.split(".")[1].split("[")[0]):
                return None
            continue
        if _registers_parameter(statement):
            return None
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        value = statement.value if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Attribute) or ast.unparse(target.value) != "self":
            continue
        if not isinstance(value, ast.Call):
            continue
        if situation.means(value.func, "torch.nn.Parameter"):
            return f"self.{target.attr}" if _is_set_once(situation, target) else None
        inner = _first_in(situation, value, depth) if found is None else None
        if inner == "" or (inner is not None and not _is_set_once(situation, target)):
            return None
        found = f"self.{target.attr}{inner}" if inner is not None else found
    return found


def _registers_parameter(statement: ast.stmt) -> bool:
    """``self.register_parameter(…)``, which may make one of the class itself, or say that there is none."""
    return any(isinstance(node, ast.Attribute) and node.attr == "register_parameter" for node in ast.walk(statement))


def _holds_parameter(situation: Situation, statement: ast.stmt, attribute: str) -> bool:
    """Whether a statement may make a parameter of the class itself, or set an attribute anew."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and situation.means(node.func, "torch.nn.Parameter", "self.register_parameter"):
            return True
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and node.attr == attribute:
            return True
    return False


def _first_in(situation: Situation, call: ast.Call, depth: int = 4) -> str | None:
    """The way from a module to its first parameter; None if it has none, empty if that is not known."""
    kind = situation.path_of(call.func)
    last = kind.removeprefix("torch.nn.")
    if not kind.startswith("torch.nn."):
        plain = kind.split(".")[0] in ("int", "float", "list", "dict", "len", "max", "min")
        return None if plain else _first_in_own(situation, kind, depth)
    items = call.args
    if len(items) == 1 and last in ("Sequential", "ModuleList"):
        inner = items[0].value if isinstance(items[0], ast.Starred) else items[0]
        if isinstance(inner, (ast.List, ast.Tuple)):
            items = inner.elts
        elif isinstance(inner, ast.ListComp):
            items = [inner.elt]
    if last in ("Sequential", "ModuleList"):
        for number, item in enumerate(items):
            found = _first_in(situation, item, depth) if isinstance(item, ast.Call) else ""
            if found is not None:
                return f"[{number}]{found}" if found else ""
        return None
    if _NONE_OF_THEM.fullmatch(last):
        return None
    if "Norm" in last and (len(call.args) > 1 or any(item.arg not in ("eps", "momentum") for item in call.keywords)):
        # It may be one without weights.
        return ""
    return next((f".{name}" for pattern, name in _FIRST_WEIGHT.items() if re.fullmatch(pattern, last)), "")


def _first_in_own(situation: Situation, name: str, depth: int) -> str:
    """The way from a module of a class of this file to its first parameter; empty if that is not known."""
    made = [item for item in situation.tree.body if isinstance(item, ast.ClassDef) and item.name == name]
    initialiser = situation.method(made[0], "__init__") if len(made) == 1 else None
    if not isinstance(initialiser, ast.FunctionDef) or depth == 0:
        return ""
    return (_first_of(situation, initialiser, depth - 1) or "").removeprefix("self")
