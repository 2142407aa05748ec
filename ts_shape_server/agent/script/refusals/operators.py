"""Operators and the types of what they take."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.containers import with_typed_containers
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told, article, code_of, short
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.torch_says.rows import Complaint


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
        seen = _difference(problem, search)
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
    seen = _difference(problem, search)
    return Told(
        f"TorchScript has no overload of `{subject}` for {taken or 'these arguments'}{seen}{hint}",
        facts={"callee": subject, "got": found},
    )


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


def _difference(problem: CompilerProblem, search: RefusalSearch) -> str:
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


def appended_to(problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction) -> Iterator[Neutralisation]:
    """What is appended has another type than the list: that of the empty list is told where it is made."""
    if problem.says("list-append"):
        yield from with_typed_containers(problem, search, function)


REFUSALS = (
    RefusalKind("no-matching-overload", no_variant, neutralised=appended_to),
    RefusalKind("argument-type", schema, neutralised=appended_to),
    RefusalKind("operator-unknown", "TorchScript has no operator `{name}`", independent=True),
    RefusalKind(
        "augmented-assignment",
        "TorchScript has no such augmented assignment ({name}): write it out as `a = a … b`",
        independent=True,
    ),
    RefusalKind(
        "truth-value",
        "`{code}` is `{type}` and TorchScript has no truth value for it: compare it, with `is not None` or "
        "`len(…) > 0`",
    ),
    RefusalKind("range-type", "`{code}` needs ints, and the compiler sees `{type}`"),
    RefusalKind(
        "tolist-type", "`tolist` needs a type in TorchScript: write `name: List[…] = {code}()`", independent=True
    ),
    RefusalKind(
        "configuration-type",
        "a number in this module's configuration has another type than its operator takes (a float or list for an int)",
    ),
)
