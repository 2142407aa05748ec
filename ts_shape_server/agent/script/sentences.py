"""Sentences for refusals that need more than a pattern: what a run saw, which parameter, which attribute.

Each function takes a complaint of the compiler's and gives the words, and where they belong if that is a better place
than torch's. Nothing here edits source or compiles.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ts_shape_server.agent.script import edits
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.script.types import Type
from ts_shape_server.agent.torch_says import compiler
from ts_shape_server.agent.torch_says.rows import Complaint

CODE_LIMIT = 60


@dataclass(frozen=True)
class Told:
    """A sentence; `cause` is equal for messages with one reason; `place` is a better place than torch's.

    `kind` is the id of the refusal, empty for that of the row of the catalogue; `facts` what it is about.
    """

    message: str
    cause: Any = None
    place: MarkedPlace | None = None
    related: tuple[MarkedPlace, ...] = ()
    kind: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def code_of(problem: CompilerProblem) -> str:
    return short(problem.code)


def short(code: str) -> str:
    code = " ".join(code.split())
    return code if len(code) <= CODE_LIMIT else code[: CODE_LIMIT - 1] + "…"


def plain(problem: CompilerProblem) -> Told:
    """Torch's own first line, for messages that have no row."""
    first = compiler.first_line(problem.message) or "torch.jit.script refuses this"
    words = f"TorchScript refuses `{code_of(problem)}`: {first}" if problem.code else f"TorchScript refuses it: {first}"
    return Told(words, kind="unrecognised", facts={"said": first, "code": code_of(problem)})


def article(kind: object) -> str:
    return f"{'an' if str(kind)[:1] in 'aeiouAIO' else 'a'} `{kind}`"


def untyped(names: tuple[str, ...], owner: ParsedFunction, problem: CompilerProblem, search: RefusalSearch) -> Told:
    wanted = search.wanted(owner)
    seen = search.seen_of(owner)
    kinds: dict[str, Type] = {
        name: wanted.get(name) or (seen.parameters[name] if seen else Type("Tensor")) for name in names
    }
    parts = [
        f"`{name}` is taken for a Tensor because it has no annotation; it is {article(kind)} here: "
        f"annotate `{name}: {kind}`"
        for name, kind in kinds.items()
    ]
    arguments = [*owner.tree.args.args, *owner.tree.args.kwonlyargs]
    places = [owner.place_of(item, "the parameter") for item in arguments if item.arg in names]
    default = problem.says("default-value") is not None or not problem.located.places
    return Told(
        "; ".join(parts),
        ("parameter", owner.key, names),
        places[0] if default and places else None,
        () if default else tuple(places),
        "untyped-parameter",
        {"function": owner.tree.name, "parameters": list(names), "types": [str(kind) for kind in kinds.values()]},
    )


def key_type(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    """A dict with keys of a type that TorchScript has no dicts of: most often numbers of Tensors."""
    kind = complaint.name("type")
    keys: list[ast.expr] = []
    for node in ast.walk(problem.function.tree) if problem.function is not None else ():
        keys += [node.key] if isinstance(node, ast.DictComp) else []
        keys += [key for key in node.keys if key is not None] if isinstance(node, ast.Dict) else []
    numbers = [key for key in keys if isinstance(key, ast.Call) and edits.called_name(key) == "item"]
    if kind != "Scalar" or not numbers or problem.function is None:
        words = f"a dict cannot have keys of type `{kind}` in TorchScript: take ints, floats, texts or Tensors"
        return Told(words, facts={"type": kind})
    code = short(ast.unparse(numbers[0]))
    words = (
        f"`{code}` is an int or a float, as the Tensor holds, and a dict has keys of one type in TorchScript: write "
        f"`int({code})` or `float({code})`"
    )
    place = _own_place(problem.function, numbers[0], search)
    return Told(words, place=place, facts={"type": kind, "code": code})


def variadic(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    function = problem.function
    if function is None:
        return Told("a function with `*args` or `**kwargs` cannot be compiled: name its parameters")
    arguments = function.tree.args
    seen = search.seen_of(function)
    parts = []
    place = None
    for argument, stars in ((arguments.vararg, "*"), (arguments.kwarg, "**")):
        if argument is not None:
            place = place or _own_place(function, argument, search)
            kind = seen.parameters.get(argument.arg) if seen is not None else None
            count = len(kind.items) if kind is not None and kind.name == "Tuple" else None
            what = f"the {count} values that arrive" if count and count > 1 else "what arrives"
            parts.append(f"`{stars}{argument.arg}` has no type in TorchScript: name {what} as parameters")
    starred = [item.arg for item in (arguments.vararg, arguments.kwarg) if item is not None]
    facts = {"function": function.tree.name, "parameters": starred}
    if parts:
        return Told("; ".join(parts), ("signature", function.key), place, facts=facts)
    first = next((item for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults) if default), None)
    return Told(
        f"`{first.arg if first is not None else '*'}` is keyword-only and has a default, which TorchScript lacks: take "
        "the `*` out of the signature",
        ("signature", function.key),
        _own_place(function, first, search) if first is not None else None,
        kind="keyword-only-default",
        facts={**facts, "parameters": [first.arg] if first is not None else []},
    )


def _own_place(function: ParsedFunction, node: ast.AST, search: RefusalSearch) -> MarkedPlace | None:
    """A node's place, where the file is the user's."""
    return function.place_of(node) if search.users(function.path) else None


def no_variant(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    """No overload of an operator takes the arguments."""
    found = list(dict.fromkeys(complaint.names("got")))
    called = problem.whole.func if isinstance(problem.whole, ast.Call) else None
    subject = short(ast.unparse(called)) if called is not None else code_of(problem)
    unknown = complaint.names("unknown")
    if unknown and not found:
        facts = {"callee": subject, "argument": unknown[0]}
        return Told(f"`{subject}` has no argument `{unknown[0]}` in TorchScript", kind="argument-unknown", facts=facts)
    wanted = list(zip(complaint.names("expected"), complaint.names("arguments"), complaint.names("got")))
    arguments = {(argument, got) for _, argument, got in wanted}
    if isinstance(problem.whole, ast.Call) and len(arguments) == 1 and "None" not in found:
        ((argument, got),) = arguments
        kinds = list(dict.fromkeys(item for item, _, _ in wanted))
        takes = " or ".join(f"`{item}`" for item in kinds[:3])
        floats = ": write it as a float, as in `2.0`" if got == "int" and any("float" in item for item in kinds) else ""
        seen = difference(problem, search)
        return Told(
            f"`{subject}` takes {takes} for `{argument}` in TorchScript, and gets {article(got)}{floats or seen}",
            kind="argument-type",
            facts={"callee": subject, "argument": argument, "expected": kinds, "got": got},
        )
    taken = " and ".join(f"`{item}`" for item in found[:3])
    hint = ""
    if isinstance(problem.whole, ast.Compare) and any(isinstance(item, ast.In) for item in problem.whole.ops):
        hint = ": compare with `==` one by one, or with a list of values of one type"
    elif "None" in found:
        hint = ": it is None when the class is compiled, check `is not None` before"
    seen = difference(problem, search)
    return Told(
        f"TorchScript has no overload of `{subject}` for {taken or 'these arguments'}{seen}{hint}",
        facts={"callee": subject, "got": found},
    )


def difference(problem: CompilerProblem, search: RefusalSearch) -> str:
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
            what = article(kind) if kind.representable else "of a type that TorchScript lacks"
            parts.append(f"`{short(ast.unparse(operand))}` is {what}")
    return f" (here {', '.join(parts)})" if parts else ""


def schema(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    expected, argument, got = (complaint.name(fact) for fact in ("expected", "argument", "got"))
    name = complaint.name("callee") or code_of(problem)
    hint = ""
    if got == f"Optional[{expected}]":
        hint = ": check that it `is not None` before, on a local name"
    elif expected in ("float", "Optional[float]") and got == "int":
        hint = ": make it a float, as in `1.0`"
    elif complaint.facts.get("inferred") and re.match(r"(int|float|bool|str)$|(Optional|List|Dict|Tuple)\[", got):
        hint = f": annotate `{argument}: {got}` where `{name}` is defined"
    elif expected.startswith("List[") and got.startswith("Tuple["):
        hint = f": every item of it must be {article(expected[5:-1])}"
    return Told(
        f"`{name}` takes {article(expected)} for `{argument}`, and the compiler sees {article(got)}{hint}",
        facts={"callee": name},
    )


def not_callable(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    code = code_of(problem)
    called = ast.unparse(problem.whole.func) if isinstance(problem.whole, ast.Call) else code
    arguments = problem.function.tree.args.args if problem.function is not None else []
    if called in {item.arg for item in arguments}:
        return Told(
            f"`{called}` is a parameter that gets a function or module, for which TorchScript has no type: make it an "
            "attribute",
            kind="callable-parameter",
            facts={"parameter": called},
        )
    words = f"`{short(called)}` is {article(complaint.name('type'))} to TorchScript, which it cannot call"
    return Told(words, facts={"callee": short(called)})


def undefined(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    name = complaint.name("name")
    if problem.function is not None and name in edits.stored_names(problem.function.tree):
        words = f"`{name}` may have no value here: give it one before the branch or loop that sets it"
        return Told(words, kind="name-maybe-undefined")
    return Told(f"TorchScript does not know `{name}`: it cannot be compiled, or cannot be a value there")


def no_type(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    name = complaint.name("name") or code_of(problem)
    return Told(f"TorchScript does not know the type `{name}`: use plain types such as `Tensor`", facts={"name": name})


def super_call(problem: CompilerProblem) -> Told:
    """A call of a method of the parent class."""
    where = getattr(problem.function.function, "__qualname__", "forward") if problem.function is not None else "forward"
    return Told(
        f"TorchScript does not support `super()`, as in `{where}`: call what the parent's method calls, or give that "
        "method a second name",
        kind="super-call",
        facts={"function": where},
    )


def class_as_value(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    call = edits.parents(problem.function.tree).get(problem.node) if problem.function and problem.node else None
    if isinstance(call, ast.Call) and edits.called_name(call) == "super":
        return super_call(problem)
    code = code_of(problem)
    words = f"`{code}` is a Python class, which cannot be a value in TorchScript: test for it with `isinstance`"
    return Told(words, facts={"code": code})


def reassigned(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    name, first, second = (complaint.name(fact) for fact in ("name", "first", "second"))
    hint = "let it begin as a float, as in `0.0`" if (first, second) == ("int", "float") else "use another name"
    return Told(f"`{name}` was `{first}` and becomes `{second}`: {hint}")


def no_value(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    kind, code = complaint.name("type"), code_of(problem)
    if "Construct" in kind:
        words = f"a type such as `{code}` cannot be a value in TorchScript: test for it with `isinstance`"
        return Told(words, kind="class-as-value", facts={"code": code})
    if kind.startswith("Legacy"):
        words = (
            f"`{code}` does not exist in TorchScript: use `torch.tensor`, `torch.zeros` or `torch.empty` with a dtype"
        )
        return Told(words, kind="legacy-constructor", facts={"code": code})
    if kind in _DTYPES:
        words = f"`{code}` is a Python type, which TorchScript can only call: name a dtype, as in `{_DTYPES[kind]}`"
        return Told(words, kind="type-as-value", facts={"code": code, "dtype": _DTYPES[kind]})
    if kind in ("function", "builtin", "method"):
        words = f"`{code}` is a function, which TorchScript can only call: take it out of the condition or value"
        return Told(words, kind="function-as-value", facts={"code": code})
    return Told(
        f"`{code}` is a Python {kind}, which cannot be a value in TorchScript: keep what is needed of it in an "
        "attribute",
        facts={"code": code},
    )


_DTYPES = {"__float__": "torch.float64", "__int__": "torch.int64", "__bool__": "torch.bool"}
"""The dtype that torch takes a Python type for, by the method that the compiler has in the place of the type."""


def mutable_default(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    words = "a list or dict cannot be a default in TorchScript: take None and make it in the body"
    function = problem.function
    if function is None:
        return Told(words)
    arguments = function.tree.args
    defaults = [item for item in (*arguments.defaults, *arguments.kw_defaults) if isinstance(item, _MUTABLE)]
    place = _own_place(function, defaults[0], search) if defaults else None
    return Told(words, ("mutable default", function.key), place, facts={"function": function.tree.name})


_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.Call, ast.ListComp, ast.DictComp, ast.SetComp)


def hook(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    kind, name, module = complaint.name("which").lower(), complaint.name("name"), complaint.name("module")
    made = next((item for item in search.sources.functions.values() if item.tree.name == name), None)
    result = ", output: Tensor" if kind == "hook" else ""
    return Told(
        f"the {kind} `{name}` of a `{module}` needs annotations to be compiled: "
        f"`def {name}(module, inputs: Tuple[Tensor]{result})`, and that of its result",
        ("hook", name),
        made.name_place() if made is not None and search.users(made.path) else None,
    )


def lambda_hook(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    path, line = complaint.name("path"), complaint.number("line") or 1
    place = MarkedPlace(path, line, None, line, None) if search.users(path) else None
    return Told(
        "a hook that is a lambda cannot be compiled: make it a named function with annotations",
        ("hook", path, line),
        place,
        facts={"path": os.path.basename(path)},
    )


def static_forward(problem: CompilerProblem, search: RefusalSearch) -> Told | None:
    """A ``forward`` without `self` is taken for one whose first parameter is the module: what follows is one reason."""
    for function in search.sources.functions.values():
        names = [getattr(item, "id", "") for item in function.tree.decorator_list]
        if function.tree.name != "forward" or "staticmethod" not in names or not search.users(function.path):
            continue
        owner = getattr(function.function, "__qualname__", "").split(".")[-2:][0]
        called = compiler.called_forward(problem.message) == owner
        if problem.function is function or called:
            return Told(
                f"`forward` of `{owner}` is a static method, whose first parameter TorchScript takes for the module: "
                "give it `self`",
                ("static forward", function.key),
                function.name_place(),
                kind="static-forward",
                facts={"class": owner},
            )
    return None


def in_library(problem: CompilerProblem, search: RefusalSearch) -> CompilerProblem | None:
    """The problem at the place in somebody else's code where it arises; None if that is the user's."""
    if problem.library is None:
        return None
    place = problem.located.places[0]
    function = search.sources.function_at(place.path, place.line)
    return replace(problem, function=function, node=function.node_at(place) if function is not None else None)


def of_library(problem: CompilerProblem, told: Told) -> Told:
    """What cannot be compiled of somebody else's; `told` is about the place inside of it."""
    assert problem.library is not None
    function = problem.library.function
    name = getattr(function, "__qualname__", problem.library.tree.name)
    if "parametriz" in getattr(function, "__module__", ""):
        words = (
            "a parametrization cannot be compiled: take it out before, with "
            "`torch.nn.utils.parametrize.remove_parametrizations`"
        )
        return Told(words, ("library", "parametrization"), kind="parametrization")
    if name.split(".")[0] == "DataParallel":
        words = "`nn.DataParallel` cannot be compiled: script the module inside of it, its `.module`"
        return Told(words, ("library", name), kind="data-parallel")
    facts = {"function": name, "inner": told.kind}
    if "." in name:
        return Told(f"inside `{name}`: {told.message}", ("library", name), kind="library-method", facts=facts)
    return Told(
        f"TorchScript cannot compile `{name}`, which is called here: move the call to `__init__`, or to a "
        "`@torch.jit.ignore` method",
        ("library", name),
        kind="library-function",
        facts=facts,
    )
