"""Torch's messages in words a person can act on: a table from patterns to sentences, most frequent first.

A sentence may use the groups of its pattern, `{code}` (the source that torch marks), `{function}` and, with
`cause`, say which messages are one and the same reason. Nothing here edits source or compiles.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

from ts_shape_server.agent.script import edits
from ts_shape_server.agent.script.locate import Place
from ts_shape_server.agent.script.problem import Problem, Search
from ts_shape_server.agent.script.sources import Parsed
from ts_shape_server.agent.script.types import Type

CODE_LIMIT = 60


@dataclass(frozen=True)
class Told:
    """A sentence; `cause` is equal for messages with one reason; `place` is a better place than torch's."""

    message: str
    cause: Any = None
    place: Place | None = None
    related: tuple[Place, ...] = ()


Sentence = Union[str, Callable[["re.Match[str]", Problem, Search], Told]]


@dataclass(frozen=True)
class Row:
    """`independent`: it is a reason of its own even where the expression reads a value that an edit made up."""

    pattern: re.Pattern[str]
    sentence: Sentence
    cause: tuple[str, ...] = ()
    independent: bool = False


def tell(problem: Problem, search: Search, repaired: tuple[str, ...] = (), owner: Parsed | None = None) -> Told:
    """The words for a problem. `repaired` are parameters of `owner` whose annotation alone takes it away."""
    if repaired and owner is not None:
        return _untyped(repaired, owner, problem, search)
    found = _row(problem)
    if found is None:
        return Told(_plain(problem))
    row, match = found
    if not isinstance(row.sentence, str):
        return row.sentence(match, problem, search)
    groups = {name: _readable(text or "") for name, text in match.groupdict().items()}
    function = problem.function.tree.name if problem.function is not None else "forward"
    message = row.sentence.format(code=_code(problem), function=function, **groups)
    cause = (row.pattern.pattern, *(groups[name] for name in row.cause)) if row.cause else None
    return Told(message, cause)


def independent(problem: Problem) -> bool:
    """Whether a message is a reason of its own, whatever values the expression reads."""
    found = _row(problem)
    return found is not None and found[0].independent


def _row(problem: Problem) -> tuple[Row, re.Match[str]] | None:
    for row in TABLE:
        match = row.pattern.search(problem.message)
        if match:
            return row, match
    return None


def _code(problem: Problem) -> str:
    return _short(problem.code)


def _short(code: str) -> str:
    code = " ".join(code.split())
    return code if len(code) <= CODE_LIMIT else code[: CODE_LIMIT - 1] + "…"


def _readable(text: str) -> str:
    """Torch's names without its manglings."""
    text = re.sub(r"__torch__\.(?:[\w<>]+\.)*(?:___torch_mangle_\d+\.)?(\w+)", r"\1", text)
    return text.replace(" (inferred)", "").replace("NoneType", "None").strip()


def _plain(problem: Problem) -> str:
    """Torch's own first line, for messages that have no row."""
    lines = [line.strip() for line in problem.message.split("\n") if line.strip()]
    first = _readable(lines[0]).rstrip(":.") if lines else "torch.jit.script refuses this"
    return f"TorchScript refuses `{_code(problem)}`: {first}" if problem.code else f"TorchScript refuses it: {first}"


def _article(kind: object) -> str:
    return f"{'an' if str(kind)[:1] in 'aeiouAIO' else 'a'} `{kind}`"


def _untyped(names: tuple[str, ...], owner: Parsed, problem: Problem, search: Search) -> Told:
    wanted = search.wanted(owner)
    seen = search.seen_of(owner)
    parts = []
    for name in names:
        kind: Type = wanted.get(name) or (seen.parameters[name] if seen else Type("Tensor"))
        parts.append(
            f"`{name}` is taken for a Tensor because it has no annotation; it is {_article(kind)} here: "
            f"annotate `{name}: {kind}`"
        )
    arguments = [*owner.tree.args.args, *owner.tree.args.kwonlyargs]
    places = [owner.place_of(item, "the parameter") for item in arguments if item.arg in names]
    default = "default value" in problem.message or not problem.located.places
    return Told(
        "; ".join(parts),
        ("parameter", owner.key, names),
        places[0] if default and places else None,
        () if default else tuple(places),
    )


def _variadic(match: re.Match[str], problem: Problem, search: Search) -> Told:
    function = problem.function
    if function is None:
        return Told("a function with `*args` or `**kwargs` cannot be compiled: name its parameters")
    arguments = function.tree.args
    seen = search.seen_of(function)
    parts = []
    place = None
    for argument, stars in ((arguments.vararg, "*"), (arguments.kwarg, "**")):
        if argument is not None:
            place = place or function.place_of(argument)
            kind = seen.parameters.get(argument.arg) if seen is not None else None
            count = len(kind.items) if kind is not None and kind.name == "Tuple" else None
            what = f"the {count} values that arrive" if count and count > 1 else "what arrives"
            parts.append(f"`{stars}{argument.arg}` has no type in TorchScript: name {what} as parameters")
    if parts:
        return Told("; ".join(parts), ("signature", function.key), place)
    first = next((item for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults) if default), None)
    return Told(
        f"`{first.arg if first is not None else '*'}` is keyword-only and has a default, which TorchScript lacks: take "
        "the `*` out of the signature",
        ("signature", function.key),
        function.place_of(first) if first is not None else None,
    )


def _no_variant(match: re.Match[str], problem: Problem, search: Search) -> Told:
    """No overload of an operator takes the arguments."""
    found = list(
        dict.fromkeys(_readable(item) for item in re.findall(r"instead found type '([^']*)'", problem.message))
    )
    called = problem.whole.func if isinstance(problem.whole, ast.Call) else None
    subject = _short(ast.unparse(called)) if called is not None else _code(problem)
    unknown = re.findall(r"Unknown keyword argument '(\w+)'", problem.message)
    if unknown and not found:
        return Told(f"`{subject}` has no argument `{unknown[0]}` in TorchScript")
    taken = " and ".join(f"`{item}`" for item in found[:3])
    return Told(
        f"no form of `{subject}` takes {taken or 'these arguments'} in TorchScript{_difference(problem, search)}"
    )


def _difference(problem: Problem, search: Search) -> str:
    """What the run saw in the operands, where the compiler cannot know it."""
    if problem.function is None or not isinstance(problem.whole, (ast.Call, ast.BinOp, ast.Compare)):
        return ""
    node = problem.whole
    operands = [*node.args, *(item.value for item in node.keywords)] if isinstance(node, ast.Call) else []
    if isinstance(node, ast.BinOp):
        operands = [node.left, node.right]
    elif isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
    parts = []
    for operand in operands[:4]:
        kind = search.type_of(problem.function, operand)
        if kind is not None and not isinstance(operand, ast.Constant):
            what = _article(kind) if kind.representable else "no TorchScript value"
            parts.append(f"`{_short(ast.unparse(operand))}` is {what}")
    return f" (here {', '.join(parts)})" if parts else ""


def _schema(match: re.Match[str], problem: Problem, search: Search) -> Told:
    expected, argument, got = (_readable(match.group(name)) for name in ("expected", "argument", "got"))
    callee = re.findall(r"^\s*(?:aten::|prim::)?(\w+)(?:\.\w+)?\(", problem.message, re.MULTILINE)
    name = callee[-1] if callee else _code(problem)
    return Told(f"`{name}` takes {_article(expected)} for `{argument}`, and the compiler sees {_article(got)}")


def _failed_attribute(match: re.Match[str], problem: Problem, search: Search) -> Told:
    attribute, kind = match.group("attribute"), match.group("type")
    cause = ("attribute", match.group("owner"), attribute)
    hints = {
        "list": "make it an `nn.ModuleList` if it holds modules, else annotate the attribute in the class",
        "dict": "make it an `nn.ModuleDict` if it holds modules, else annotate the attribute in the class",
        "numpy.ndarray": "register it as a buffer, as a Tensor",
        "numpy.float64": "make it a `float`",
        "numpy.int64": "make it an `int`",
        "NoneType": "annotate the attribute in the class",
    }
    hint = hints.get(kind, "keep a value that TorchScript has, or move its use to a `@torch.jit.ignore` method")
    empty = " (empty, so the type of its items is unknown)" if "empty" in problem.message.lower() else ""
    return Told(f"`self.{attribute}` is a Python `{kind}`{empty}, which TorchScript cannot hold: {hint}", cause)


def _function_attribute(match: re.Match[str], problem: Problem, search: Search) -> Told:
    attribute = match.group("attribute")
    cause = ("attribute", match.group("owner"), attribute)
    if "single top-level function" in problem.text:
        return Told(
            f"`self.{attribute}` is a lambda, which cannot be compiled: make it a named function or an `nn.Module`",
            cause,
        )
    inner = problem.message.split("reproduced here:", 1)[-1].strip().split("\n")[0]
    return Told(f"`self.{attribute}` is a function that cannot be compiled: {_readable(inner).rstrip(':).')}", cause)


def _no_attribute(match: re.Match[str], problem: Problem, search: Search) -> Told:
    kind, attribute = _readable(match.group("type")), match.group("attribute")
    if "super(" in problem.code:
        return Told("`super()` has no meaning in TorchScript: call the function that the parent's method calls")
    hint = _WITHOUT.get(attribute, "")
    seen = None
    if problem.function is not None and isinstance(problem.whole, ast.Call):
        inner = problem.whole.func
        if isinstance(inner, ast.Attribute):
            seen = search.type_of(problem.function, inner.value)
    if seen is not None and seen.representable and str(seen) != kind and kind == "Tensor":
        return Told(
            f"the compiler takes `{_short(ast.unparse(problem.whole.func.value))}` for a Tensor; "  # type: ignore
            f"it is {_article(seen)} here: annotate it"
        )
    return Told(f"a {kind} has no `{attribute}` in TorchScript" + (f": {hint}" if hint else ""))


_WITHOUT = {
    "numpy": "it leaves the graph; use the torch equivalent or a `@torch.jit.ignore` method",
    "new": "use `new_zeros`, `new_empty` or `torch.tensor`",
    "new_tensor": "use `torch.tensor(…, device=…)`",
    "data": "use `detach()`",
    "is_leaf": "move it to a `@torch.jit.ignore` method",
    "volatile": "it has been without effect since torch 0.4: take it out",
    "items": "annotate it as a Dict",
    "append": "annotate it as a List",
    "keys": "annotate it as a Dict",
    "register_hook": "move it to a `@torch.jit.ignore` method",
    "masked_scatter": "",
}


def _not_callable(match: re.Match[str], problem: Problem, search: Search) -> Told:
    code = _code(problem)
    called = ast.unparse(problem.whole.func) if isinstance(problem.whole, ast.Call) else code
    arguments = problem.function.tree.args.args if problem.function is not None else []
    if called in {item.arg for item in arguments}:
        return Told(
            f"`{called}` is a parameter that gets a function or module, for which TorchScript has no type: make it an "
            "attribute"
        )
    return Told(
        f"`{_short(called)}` is {_article(_readable(match.group('type')))} to TorchScript, which it cannot call"
    )


def _undefined(match: re.Match[str], problem: Problem, search: Search) -> Told:
    name = match.group("name")
    if problem.function is not None and name in edits.stored_names(problem.function.tree):
        return Told(f"`{name}` may have no value here: give it one before the branch or loop that sets it")
    return Told(f"`{name}` means nothing to TorchScript: it cannot be compiled or is no value")


def _row_of(pattern: str, sentence: Sentence, *cause: str, independent: bool = False) -> Row:
    return Row(re.compile(pattern, re.MULTILINE | re.DOTALL), sentence, cause, independent)


TABLE: tuple[Row, ...] = (
    _row_of(r"variable number of arguments", _variadic, independent=True),
    _row_of(r"Arguments for call are not valid", _no_variant),
    _row_of(
        r"cannot statically infer the expected size of a list",
        "`{code}` has no fixed length for TorchScript, so it cannot be unpacked or starred: take its items by index",
    ),
    _row_of(
        r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)' "
        r"\(This attribute exists on the Python module, but we failed to convert Python type: '(?P<type>[^']*)'",
        _failed_attribute,
        independent=True,
    ),
    _row_of(
        r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)' \(This function exists",
        _function_attribute,
        independent=True,
    ),
    _row_of(
        r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)'",
        "`{attribute}` does not exist on this `{owner}`: set it in `__init__` on every path, TorchScript compiles "
        "branches that never run",
        "owner",
        "attribute",
        independent=True,
    ),
    _row_of(
        r"'(?P<type>[^']*)' object has no attribute or method '(?P<attribute>[^']*)'", _no_attribute, independent=False
    ),
    _row_of(
        r"Expected integer literal for index",
        "a ModuleList can only be indexed by a literal in TorchScript: loop over it, with `enumerate` or `zip`",
        independent=True,
    ),
    _row_of(
        r"Unable to extract string literal index",
        "a ModuleDict can only be indexed by a literal in TorchScript: loop over its `items()`",
        independent=True,
    ),
    _row_of(
        r"Cannot instantiate class '(?P<name>[^']*)'",
        "`{name}` is built in `{function}`, which TorchScript cannot do: build it in `__init__`",
        independent=True,
    ),
    _row_of(
        r"Class Variable does not have an __init__",
        "`Variable` has been a Tensor since torch 0.4, and TorchScript does not know it: take it out",
        independent=True,
    ),
    _row_of(
        r"Class (?P<name>\w+) does not have an __init__",
        "`{name}` is built or called as a class in `{function}`, which TorchScript cannot do: build it in `__init__`",
        independent=True,
    ),
    _row_of(
        r"^'(?P<name>\w+)' object has no attribute '__name__'",
        "a `{name}` hook cannot be compiled: remove it before (`remove_weight_norm`, `remove_spectral_norm`) or use "
        "`torch.nn.utils.parametrizations`",
    ),
    _row_of(
        r"cannot create weak reference to '(?P<type>[^']*)' object",
        "`{code}` calls a `{type}`, which TorchScript lacks: use the torch equivalent or a `@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        r"'(?P<type>[^']*)' object in attribute '(?P<owner>\w+)\.(?P<attribute>\w+)' is not a valid constant",
        "`{attribute}` of this `{owner}` is a `{type}`: make it a plain Python number",
    ),
    _row_of(
        r"Expected inferred type to be interface type for '(?P<name>\w+)'",
        "the class annotates `{name}` with a type that TorchScript does not take for a module: take the annotation out",
    ),
    _row_of(
        r"arg_types\.size\(\) == param_names\.size\(\)",
        "`{code}` gets a function or module as an argument, for which TorchScript has no type: make it an attribute",
    ),
    _row_of(
        r"Expected IntList but got|expected bool|isIntList\(\)",
        "a number in this module's configuration has another type than its operator takes (a float or list for an int)",
    ),
    _row_of(
        r"Tried to set nonexistent attribute: (?P<name>\w+)",
        "`self.{name}` is first set in `{function}`: TorchScript has only the attributes that `__init__` sets",
        "name",
        independent=True,
    ),
    _row_of(
        r"Tried to set an attribute: (?P<name>\w+) on a non-class: (?P<type>.*?)$",
        "`{name}` of a {type} cannot be set in TorchScript: use an in-place operation such as `copy_`",
        independent=True,
    ),
    _row_of(
        r"unsupported kind of augmented assignment: (?P<name>\w+)",
        "TorchScript has no such augmented assignment ({name}): write it out as `a = a … b`",
        independent=True,
    ),
    _row_of(
        r"unexpected expression on left-hand side of assignment",
        "TorchScript cannot assign to `{code}`: unpack into a plain tuple of names",
        independent=True,
    ),
    _row_of(
        r"'(?P<type>[^']*)' object is not subscriptable",
        "`{code}`: the compiler sees `{type}`, which cannot be indexed",
    ),
    _row_of(
        r"Tuple index out of range\. Tuple is length (?P<length>\d+)",
        "`{code}`: the tuple has {length} items",
    ),
    _row_of(
        r"indexing tensor with unsupported index type '(?P<type>[^']*)'",
        "`{code}`: a Tensor cannot be indexed with `{type}` in TorchScript",
    ),
    _row_of(
        r"need (?P<wanted>\d+) values to unpack but found only (?P<found>\d+)",
        "`{code}` unpacks {wanted} values, and the compiler sees {found}",
    ),
    _row_of(
        r"attempted to use multidimensional indexing on a non-tensor",
        "`{code}`: only Tensors take several indices in TorchScript",
        independent=True,
    ),
    _row_of(
        r"Can't get source for",
        "`{code}` has no source that TorchScript could read: move it to a `@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        r"Python type cannot be used as a value",
        "`{code}` is a Python class, which is no value in TorchScript",
        independent=True,
    ),
    _row_of(
        r"Python builtin (?P<name><.*?>) is currently not supported",
        "`{code}` calls a Python builtin that TorchScript lacks: use the torch equivalent or a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        r"python value of type '(?P<type>[^']*)' cannot be used as a value",
        "`{code}` is a Python `{type}`, which is no value in TorchScript: make it an attribute, a `Final` constant or "
        "a parameter",
        independent=True,
    ),
    _row_of(
        r"Expected a default value of type (?P<expected>.*?) on parameter \"(?P<name>\w+)\"",
        "`{name}` is taken for a Tensor because it has no annotation, and its default is none: annotate it",
    ),
    _row_of(
        r"Previous return statement returned a value of type (?P<first>.*?) but this return statement returns a value "
        r"of type (?P<second>.*?)$",
        "`{function}` returns `{second}` here and `{first}` elsewhere: TorchScript needs one type",
    ),
    _row_of(
        r"Return value was annotated as having type (?P<first>.*?) but is actually of type (?P<second>.*?)$",
        "`{function}` is annotated to return `{first}` and returns `{second}`",
    ),
    _row_of(
        r"Could not cast value of type (?P<type>.*?) to bool",
        "`{code}` is `{type}` and TorchScript has no truth value for it: compare it, with `is not None` or "
        "`len(…) > 0`",
    ),
    _row_of(
        r"Expected type hint for result of tolist",
        "`tolist` needs a type in TorchScript: write `name: List[…] = {code}()`",
        independent=True,
    ),
    _row_of(
        r"getattr's second argument must be a string literal",
        "`getattr` takes a literal name only in TorchScript: loop over an `nn.ModuleList` instead",
        independent=True,
    ),
    _row_of(
        r"function definitions aren't supported",
        "a function cannot be defined inside `{function}`: move it out",
        independent=True,
    ),
    _row_of(
        r"try blocks aren't supported",
        "TorchScript has no `try`: move it to a `@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        r"import statements aren't supported",
        "an import cannot stand in `{function}`: move it to the top of the file",
        independent=True,
    ),
    _row_of(
        r"Lambda aren't supported",
        "TorchScript has no lambda: write the expression out or name a function",
        independent=True,
    ),
    _row_of(
        r"global variables aren't supported",
        "TorchScript has no `global`: keep the value in an attribute",
        independent=True,
    ),
    _row_of(
        r"(?P<what>Yield|YieldFrom) aren't supported",
        "TorchScript has no generators: collect a list and return it",
        independent=True,
    ),
    _row_of(
        r"SetComp aren't supported|Set aren't supported",
        "TorchScript has no sets: use a list or a dict",
        independent=True,
    ),
    _row_of(
        r"assert cannot be|Assert aren't supported",
        "this `assert` cannot be compiled: simplify its message",
        independent=True,
    ),
    _row_of(r"(?P<what>[\w ]+?) aren't supported", "TorchScript has no {what}", independent=True),
    _row_of(
        r"Comprehension ifs are not supported",
        "TorchScript has no `if` in a comprehension: write a loop",
        independent=True,
    ),
    _row_of(
        r"Only a single generator is currently supported",
        "TorchScript takes one `for` in a comprehension: write a loop",
        independent=True,
    ),
    _row_of(
        r"keyword-arg expansion is not supported",
        "`**` in a call has no meaning in TorchScript: name the arguments",
        independent=True,
    ),
    _row_of(r"Dict expansion", "`{{**…}}` has no meaning in TorchScript: build the dict key by key", independent=True),
    _row_of(
        r"JoinedStr",
        "TorchScript takes plain `{{name}}` fields only in an f-string: format with `.format` or leave it out",
        independent=True,
    ),
    _row_of(
        r"all inputs of range must be ints, found (?P<type>.*?) in argument (?P<number>\d+)",
        "`{code}` needs ints, and the compiler sees `{type}`",
    ),
    _row_of(
        r"^(?P<name>\w+) is set to type (?P<first>.*?) in the true branch and type (?P<second>.*?) in the false branch"
        r"|Type mismatch: (?P<name2>\w+) is set to type (?P<first2>.*?) in the true branch and type "
        r"(?P<second2>.*?) in the false branch",
        "`{name}{name2}` is `{first}{first2}` after one branch and `{second}{second2}` after the other: TorchScript "
        "needs one type",
    ),
    _row_of(
        r"if-expression's true branch has type (?P<first>.*?) but false branch has type (?P<second>.*?)$",
        "`{code}` is `{first}` or `{second}`: TorchScript needs one type",
    ),
    _row_of(
        r"^(?P<name>\w+) is not defined in the (?P<which>true|false) branch",
        "`{name}` has no value where this branch is not taken: give it one before",
    ),
    _row_of(
        r"Variable '(?P<name>\w+)' previously had type (?P<first>.*?) but is now being assigned to a value of type "
        r"(?P<second>.*?)$",
        "`{name}` was `{first}` and becomes `{second}`: use another name",
    ),
    _row_of(
        r"Wrong type for attribute assignment\. Expected (?P<first>.*?) but got (?P<second>.*?)$",
        "the attribute is `{first}` to TorchScript and gets `{second}`: annotate it in the class with what it holds",
    ),
    _row_of(
        r"Could not match type (?P<got>.*?) to t in argument 'el'.*matched to type (?P<held>.*?) is",
        "the list holds `{held}` to TorchScript (an empty list is a List[Tensor]) and gets `{got}`: annotate it",
    ),
    _row_of(
        r"Unknown type name '(?P<name>.*?)'",
        "`{name}` is no type to TorchScript: use plain types such as `Tensor`",
        independent=True,
    ),
    _row_of(
        r"Unknown type constructor (?P<name>[\w.]+)",
        "`{name}` is no type to TorchScript: use plain types such as `Tensor`",
        independent=True,
    ),
    _row_of(
        r"Expected a value of type '(?P<expected>.*?)' for argument '(?P<argument>\w+)' but instead found type "
        r"'(?P<got>.*?)'",
        _schema,
    ),
    _row_of(r"undefined value (?P<name>\w+)", _undefined),
    _row_of(
        r"(?P<type>[^\n]*?) cannot be used as a tuple",
        "`{code}` is `{type}` to TorchScript, whose length it does not know: it cannot be unpacked or looped over",
    ),
    _row_of(r"cannot call a value of type '(?P<type>[^']*)'", _not_callable),
    _row_of(
        r"(?P<type>\w+) cannot be used as a value",
        "`{code}` is a Python {type}, which is no value in TorchScript",
        independent=True,
    ),
    _row_of(
        r"object has no attribute (?P<attribute>\w+)",
        "`{code}`: TorchScript knows no `{attribute}` there",
        independent=True,
    ),
    _row_of(r"Unknown builtin op: aten::(?P<name>\w+)", "TorchScript has no operator `{name}`", independent=True),
    _row_of(
        r"Mutable default parameters",
        "a list or dict cannot be a default in TorchScript: take None and make it in the body",
        independent=True,
    ),
)
