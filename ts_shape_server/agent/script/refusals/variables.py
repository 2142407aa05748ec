"""Names and results: one type for each, and a value on every path."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.script import edits, neutralisation, types
from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch, statement_at
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told
from ts_shape_server.agent.script.sources import ParsedFunction, key_of
from ts_shape_server.agent.torch_says.rows import Complaint


def undefined(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    name = complaint.name("name")
    if problem.function is not None and name in edits.stored_names(problem.function.tree):
        words = f"`{name}` may have no value here: give it one before the branch or loop that sets it"
        return Told(words, kind="name-maybe-undefined")
    return Told(f"TorchScript does not know `{name}`: it cannot be compiled, or cannot be a value there")


def reassigned(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    name, first, second = (complaint.name(fact) for fact in ("name", "first", "second"))
    hint = "let it begin as a float, as in `0.0`" if (first, second) == ("int", "float") else "use another name"
    return Told(f"`{name}` was `{first}` and becomes `{second}`: {hint}")


def of_the_expected_type(
    problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction
) -> Iterator[Neutralisation]:
    """A value of the type that the compiler holds to, in the place of what the statement gives."""
    complaint, statement = problem.complaint, statement_at(problem)
    expected = complaint.name("first") if complaint is not None else ""
    several = isinstance(statement, ast.Assign) and any(isinstance(item, ast.Tuple) for item in statement.targets)
    if not expected or several or not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)):
        return
    tree = torch_says.type_tree(expected)
    kind = types.OPAQUE if tree is None else types.of_tree(tree)
    if statement.value is not None and kind.representable:
        yield neutralisation.value(search, function, statement.value, kind)


def given_before(problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction) -> Iterator[Neutralisation]:
    """A first value, before the branch or loop that leaves the variable without one."""
    complaint, statement = problem.complaint, statement_at(problem)
    if complaint is not None and isinstance(statement, (ast.If, ast.For, ast.While)):
        name = complaint.name("name")
        make = edits.value_call(search.sources, neutralisation.type_read(search, function, name))
        edit = edits.inserted_before(key_of(statement), lambda: [edits.assignment(name, make)])
        yield Neutralisation(function, (edit,))


REFUSALS = (
    RefusalKind("name-undefined", undefined),
    RefusalKind(
        "branch-undefined",
        "`{name}` has no value where this branch is not taken: give it one before",
        neutralised=given_before,
    ),
    RefusalKind(
        "branch-types",
        "`{name}` is `{first}` after one branch and `{second}` after the other: TorchScript needs one type",
        names_variable=True,
    ),
    RefusalKind("conditional-types", "`{code}` is `{first}` or `{second}`: TorchScript needs one type"),
    RefusalKind("variable-type-changed", reassigned, neutralised=of_the_expected_type, names_variable=True),
    RefusalKind(
        "return-types",
        "`{function}` returns `{second}` here and `{first}` elsewhere: TorchScript needs one type",
        neutralised=of_the_expected_type,
    ),
    RefusalKind(
        "return-annotation",
        "`{function}` is annotated to return `{first}` and returns `{second}`",
        neutralised=of_the_expected_type,
    ),
    RefusalKind(
        "attribute-type",
        "the attribute is `{first}` to TorchScript and gets `{second}`: annotate it in the class with what it holds",
        neutralised=of_the_expected_type,
    ),
)
