"""Functions as values, which TorchScript does not have: they are called by their names. What a partial function or a
dict of keywords holds is written where it is called.

Refused: keyword-expansion
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            options = {"dim": 1}
            return x.sum(**options)

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            options = {"dim": 1}
            return x.sum(dim=1)

Left alone:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, options: dict):
            return x.sum(**options)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.building import removal
from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit


def chosen_function(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``if d == 2: conv = F.conv2d`` and so on: `conv` is the name of the function, and each call asks which it is."""
    for chain in ast.walk(place.function):
        choice = _choice(situation, chain)
        if choice is None:
            continue
        name, functions = choice
        named = {situation.text(item).rpartition(".")[2]: situation.text(item) for item in functions}
        uses = [node for node in ast.walk(place.function) if isinstance(node, ast.Name) and node.id == name]
        calls = [node for node in uses if isinstance(node.ctx, ast.Load)]
        about = place.statement in ast.walk(chain) or any(node in ast.walk(place.statement) for node in calls)
        stores = 1 if isinstance(chain, ast.Assign) else len(functions)
        if not about or not calls or len(uses) - len(calls) != stores or len(named) != len(functions) or stores == 0:
            continue
        made = [edit for node in calls if (edit := _by_name(situation, place.function, node, named)) is not None]
        if len(made) == len(calls):
            words = [situation.replace(item, f'"{situation.text(item).rpartition(".")[2]}"') for item in functions]
            yield Rewrite("chosen-function", f"Call what `{name}` stands for", (*words, *made))
            return


def _choice(situation: Situation, node: ast.AST) -> tuple[str, list[ast.expr]] | None:
    """The name that an ``if`` or a conditional expression gives one of several functions, and these."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp) and isinstance(node.targets[0], ast.Name):
        pair = [node.value.body, node.value.orelse]
        return (node.targets[0].id, pair) if all(_is_function(situation, item) for item in pair) else None
    names: set[str] = set()
    functions: list[ast.expr] = []
    block: list[ast.stmt] = [node] if isinstance(node, ast.If) else []
    while len(block) == 1 and isinstance(block[0], ast.If):
        found = _set_function(situation, block[0].body)
        if found is None:
            return None
        names.add(found[0])
        functions.append(found[1])
        block = block[0].orelse
    last = _set_function(situation, block) if block else None
    if last is not None:
        names.add(last[0])
        functions.append(last[1])
    elif block and not isinstance(block[0], ast.Raise):
        return None
    return (names.pop(), functions) if len(names) == 1 and len(functions) > 1 else None


def _set_function(situation: Situation, block: list[ast.stmt]) -> tuple[str, ast.expr] | None:
    first = block[0]
    if len(block) != 1 or not isinstance(first, ast.Assign) or len(first.targets) != 1:
        return None
    target = first.targets[0]
    return (target.id, first.value) if isinstance(target, ast.Name) and _is_function(situation, first.value) else None


def _is_function(situation: Situation, node: ast.expr) -> bool:
    """Whether a name is that of a function of torch's or of this file."""
    path = situation.path_of(node)
    top = {item.name for item in situation.tree.body if isinstance(item, ast.FunctionDef)}
    return path in top or bool(re.fullmatch(r"torch\.(\w+\.)*[a-z]\w*", path))


def _by_name(situation: Situation, function: Definition, use: ast.Name, named: dict[str, str]) -> TextEdit | None:
    """The statement of a call once for each function that may be meant."""
    call, statement = situation.parents.get(use), situation.statement_of(use)
    if not isinstance(call, ast.Call) or call.func is not use or statement is None or not situation.alone(statement):
        return None
    if not isinstance(statement, (ast.Assign, ast.Return, ast.Expr)) or "\n" in situation.text(statement):
        return None
    if sum(isinstance(node, ast.Name) and node.id == use.id for node in ast.walk(statement)) != 1:
        return None
    step = situation.indent(function.body[0])[len(situation.indent(function)) :] or "    "
    lines: list[str] = []
    for number, (word, text) in enumerate(named.items()):
        head = f'{"elif" if number else "if"} {use.id} == "{word}":' if number < len(named) - 1 else "else:"
        lines += [head, step + situation.text_with(statement, {use.id: text})]
    return situation.replace(statement, (situation.source.newline + situation.indent(statement)).join(lines))


def given_module(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``attention(q, k, dropout=self.dropout)``: the function becomes a method that calls `self.dropout`."""
    function = place.function
    if not isinstance(function, ast.FunctionDef):
        return
    if place.owner is not None or situation.parents.get(function) is not situation.tree or function.decorator_list:
        return
    names = [item.arg for item in function.args.args]
    call = place.node if isinstance(place.node, ast.Call) else situation.parents.get(place.node)
    called = call.func if isinstance(call, ast.Call) else None
    if not isinstance(called, ast.Name) or called.id not in names or function.args.vararg or function.args.kwarg:
        return
    for caller in ast.walk(situation.tree):
        if not isinstance(caller, ast.Call) or not isinstance(caller.func, ast.Name) or caller.func.id != function.name:
            continue
        edits = _as_method(situation, function, caller, called.id, names)
        if edits is not None:
            yield Rewrite(
                "module-caller", f"Make `{function.name}` a method that calls `{called.id}` of its own", tuple(edits)
            )


def _as_method(
    situation: Situation, function: ast.FunctionDef, caller: ast.Call, name: str, names: list[str]
) -> list[TextEdit] | None:
    method = situation.function_of(caller)
    owner = situation.owner(method) if method is not None else None
    given = next((item for item in caller.keywords if item.arg == name), None)
    position = names.index(name)
    value = given.value if given is not None else caller.args[position] if len(caller.args) == position + 1 else None
    own = isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id == "self"
    if method is None or owner is None or not own or value is None or method.decorator_list:
        return None
    uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
    body = [item for item in function.body if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))]
    if any(not isinstance(node.ctx, ast.Load) for node in uses) or any(map(has_long_strings, body)) or not body:
        return None
    wanted = situation.free_attribute(f"_{function.name.strip('_')}")
    text, indent = situation.text(value), situation.indent(method)
    lines = [f"{indent}def {wanted}(self, {_parameters(function, name)}):"]
    for number in range(body[0].lineno, (body[-1].end_lineno or 0) + 1):
        line = situation.source.line(number)
        for node in sorted((item for item in uses if item.lineno == number), key=lambda item: -item.col_offset):
            column = situation.range_of(node).column
            line = line[:column] + text + line[column + len(name) :]
        lines.append(indent + line if line.strip() else line)
    passed = [situation.text(item) for item in caller.args if item is not value]
    passed += [f"{item.arg}={situation.text(item.value)}" for item in caller.keywords if item is not given and item.arg]
    return [
        situation.above(method, lines),
        situation.replace(caller, f"self.{wanted}({', '.join(passed)})"),
    ]


def _parameters(function: ast.FunctionDef, without: str) -> str:
    """The parameters of a function but one, with their annotations and defaults."""
    arguments = function.args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + [*arguments.defaults]
    parts = []
    for item, default in zip(arguments.args, defaults, strict=True):
        if item.arg != without:
            typed = f": {ast.unparse(item.annotation)}" if item.annotation is not None else ""
            equal = " = " if typed else "="
            parts.append(f"{item.arg}{typed}{equal + ast.unparse(default) if default is not None else ''}")
    return ", ".join(parts)


def known_keywords(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``f(x, **self.up)`` with the keywords of the one literal that `up` is."""
    edits: list[TextEdit] = []
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.keyword) or node.arg is not None:
            continue
        own = isinstance(node.value, ast.Attribute)
        pairs = _literal(situation, place, node.value)
        if pairs is None:
            return
        span = situation.range_of(node.value)
        before = situation.source.line(span.line)[: span.column].rstrip()
        if not before.endswith("**") or (own and any(_constant(value) is None for _, value in pairs)):
            return
        text = ", ".join(f"{key}={situation.text(value)}" for key, value in pairs)
        edits.append(TextEdit(Range(span.line, len(before) - 2, span.end_line, span.end_column), text))
    if edits:
        yield Rewrite("named-keywords", "Name the keywords that `**` stands for", tuple(edits))


def _literal(situation: Situation, place: Place, node: ast.expr) -> list[tuple[str, ast.expr]] | None:
    """The keys and values of a dict that a name or an attribute holds, if it is set once and nowhere changed."""
    if isinstance(node, ast.Name):
        within: ast.AST | None = place.function
    else:
        own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
        within = place.owner if own else None
    if within is None:
        return None
    text = situation.text(node)
    uses = [item for item in ast.walk(within) if isinstance(item, type(node)) and situation.text(item) == text]
    made = [
        item for item in ast.walk(within) if isinstance(item, ast.Assign) and situation.text(item.targets[0]) == text
    ]
    spread = [item for item in uses if isinstance(situation.parents.get(item), ast.keyword)]
    if len(made) != 1 or len(made[0].targets) != 1 or len(uses) != len(spread) + 1:
        return None
    value = made[0].value
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "dict" and not value.args:
        keys: list[object] = [item.arg for item in value.keywords]
        values = [item.value for item in value.keywords]
    elif isinstance(value, ast.Dict):
        keys = [_constant(item) if item is not None else None for item in value.keys]
        values = value.values
    else:
        return None
    plain = [key for key in keys if isinstance(key, str) and key.isidentifier()]
    stored = {item.id for item in ast.walk(within) if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load)}
    read = {item.id for each in values for item in ast.walk(each) if isinstance(item, ast.Name)}
    if len(plain) != len(keys) or (read & stored and not isinstance(node, ast.Attribute)):
        return None
    if any(isinstance(item, ast.Call) for each in values for item in ast.walk(each)):
        return None
    return list(zip(plain, values, strict=True))


def _constant(node: ast.expr) -> object:
    """The value of a literal; None for anything else."""
    try:
        value: object = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value


def held_function(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.act = partial(F.leaky_relu, negative_slope=0.2)``, or a lambda that takes from the constructor, as a
    method of that name; what it takes is kept in attributes.
    """
    owner = place.owner
    initialiser = situation.method(owner, "__init__") if owner is not None else None
    said = place.says("attribute-unsupported", "attribute-function", "attribute-missing")
    if owner is None or not isinstance(initialiser, ast.FunctionDef) or said is None:
        return
    name = said.fact("attribute")
    made = [item for item in ast.walk(owner) if isinstance(item, ast.Assign) and _is_own(item.targets[0], name)]
    if len(made) != 1 or len(made[0].targets) != 1 or made[0] not in initialiser.body or len(initialiser.body) < 2:
        return
    if not situation.alone(made[0]) or "\n" in situation.text(made[0]) or situation.method(owner, name) is not None:
        return
    calls = [node for node in ast.walk(owner) if isinstance(node, ast.Call) and _is_own(node.func, name)]
    method = _held(situation, made[0].value, name, initialiser, calls)
    if method is None or not calls:
        return
    parameters, body, kept = method
    indent = situation.indent(initialiser)
    step = situation.indent(initialiser.body[0])[len(indent) :] or "    "
    lines = [f"{indent}def {name}({', '.join(['self', *parameters])}):", f"{indent}{step}return {body}"]
    newline = situation.source.newline + indent + step
    gone = situation.replace(made[0], newline.join(kept)) if kept else removal(situation, made[0])
    yield Rewrite("attribute-method", f"Make `self.{name}` a method", (gone, situation.above(place.function, lines)))


def _is_own(node: ast.expr, name: str) -> bool:
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return own and isinstance(node, ast.Attribute) and node.attr == name


def _held(
    situation: Situation, value: ast.expr, name: str, initialiser: ast.FunctionDef, calls: list[ast.Call]
) -> tuple[list[str], str, list[str]] | None:
    """The parameters and the result of a method, and the lines that keep what it takes from the constructor."""
    if isinstance(value, ast.Lambda):
        return _of_lambda(situation, value, name, initialiser)
    if not isinstance(value, ast.Call) or situation.path_of(value.func) != "functools.partial" or not value.args:
        return None
    if not _is_function(situation, value.args[0]) or any(item.arg is None for item in value.keywords):
        return None
    counts = {len(call.args) if not call.keywords else -1 for call in calls}
    if len(counts) != 1 or counts == {-1} or any(isinstance(item, ast.Starred) for item in value.args):
        return None
    names = ["input"] if counts == {1} else [f"input_{number + 1}" for number in range(counts.pop())]
    kept: list[str] = []
    passed: list[str] = []
    for number, item in enumerate([*value.args[1:], *(each.value for each in value.keywords)]):
        keyword = value.keywords[number - len(value.args) + 1].arg if number >= len(value.args) - 1 else None
        text = situation.text(item)
        if _constant(item) is None:
            attribute = situation.free_attribute(f"_{name}_{keyword or number}")
            kept.append(f"self.{attribute} = {text}")
            text = f"self.{attribute}"
        passed.append(f"{keyword}={text}" if keyword else text)
    first = passed[: len(value.args) - 1]
    arguments = ", ".join([*first, *names, *passed[len(first) :]])
    return names, f"{situation.text(value.args[0])}({arguments})", kept


def _of_lambda(
    situation: Situation, value: ast.Lambda, name: str, initialiser: ast.FunctionDef
) -> tuple[list[str], str, list[str]] | None:
    arguments = value.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs or arguments.kwonlyargs:
        return None
    own = {item.arg for item in arguments.args}
    around = {item.arg for item in ast.walk(initialiser.args) if isinstance(item, ast.arg)} - {"self"}
    inside = set(ast.walk(value))
    around |= {
        node.id
        for node in ast.walk(initialiser)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in inside
    }
    taken = sorted({node.id for node in ast.walk(value.body) if isinstance(node, ast.Name)} & (around - own))
    # A lambda reads a name when it is called, and what is kept is read once.
    later = [node for node in ast.walk(initialiser) if isinstance(node, ast.Name) and node.lineno > value.lineno]
    if "self" in own or any(node.id in taken and not isinstance(node.ctx, ast.Load) for node in later):
        return None
    names = {item: situation.free_attribute(f"_{name}_{item}") for item in taken}
    body = situation.text_with(value.body, {item: f"self.{attribute}" for item, attribute in names.items()})
    plain = [ast.unparse(arguments)] if arguments.args else []
    return plain, body, [f"self.{attribute} = {item}" for item, attribute in names.items()]
