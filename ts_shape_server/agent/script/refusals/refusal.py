"""What is known of a kind of refusal: its id, its sentence, and how a copy is changed to go past it.

Everything here is shared by the files of the families, which say what is particular to each kind.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from torch import nn

from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.torch_says.rows import Complaint

CODE_LIMIT = 60
"""Characters of an expression that a sentence shows."""


@dataclass(frozen=True)
class Told:
    """A sentence; `cause` is equal for messages with one reason; `place` is a better place than torch's.

    `kind` is the id of the refusal, empty for that of the complaint; `facts` what it is about.
    """

    message: str
    cause: Any = None
    place: MarkedPlace | None = None
    related: tuple[MarkedPlace, ...] = ()
    kind: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


Sentence = Union[str, Callable[[Complaint, CompilerProblem, RefusalSearch], Told]]
"""A text with the complaint's facts, ``{code}`` (the source that torch marks) and ``{function}`` as fields, or the
function that words it. What a text uses, and the facts of the complaint, are the facts of the refusal."""
Neutraliser = Callable[[CompilerProblem, RefusalSearch, ParsedFunction], Iterator[Neutralisation]]
Mend = Callable[[CompilerProblem, nn.Module, RefusalSearch], bool]


@dataclass(frozen=True)
class RefusalKind:
    """One kind of complaint of the compiler, as a row of `torch_says` names it.

    `independent`: it is a reason of its own even where the expression reads a value that an edit made up.
    `names_variable`: its fact `name` is a variable, which may be a parameter that lacks an annotation.
    `neutralised` gives the edits of a copy that only this kind wants; those that help against every kind are in
    `neutralise`. `mended` changes what no edit of a source can (instances, and what torch sees of a function), and
    says whether there was such a thing.
    """

    kind: str
    sentence: Sentence
    independent: bool = False
    names_variable: bool = False
    neutralised: Neutraliser | None = None
    mended: Mend | None = None


def code_of(problem: CompilerProblem) -> str:
    return short(problem.code)


def short(code: str) -> str:
    code = " ".join(code.split())
    return code if len(code) <= CODE_LIMIT else code[: CODE_LIMIT - 1] + "…"


def article(kind: object) -> str:
    return f"{'an' if str(kind)[:1] in 'aeiouAIO' else 'a'} `{kind}`"


def own_place(function: ParsedFunction, node: ast.AST, search: RefusalSearch) -> MarkedPlace | None:
    """A node's place, where the file is the user's."""
    return function.place_of(node) if search.users(function.path) else None
