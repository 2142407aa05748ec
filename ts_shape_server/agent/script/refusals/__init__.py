"""What TorchScript refuses: one entry for each kind, in the file of its family.

An entry has the id of the kind (as a row of `torch_says.compiler_rows` gives it), its sentence, and how a copy is
changed to go past it. Which fixes are tried against it, the rules of `analysis.rewrites` say by the same id.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals import (
    attributes,
    calls,
    containers,
    modules,
    operators,
    python_values,
    signatures,
    statements,
    variables,
)
from ts_shape_server.agent.script.refusals.refusal import RefusalKind

__all__ = ["BY_KIND", "independent", "mended", "of"]

_FAMILIES = (signatures, operators, calls, attributes, containers, modules, statements, variables, python_values)
BY_KIND: Mapping[str, RefusalKind] = {refusal.kind: refusal for family in _FAMILIES for refusal in family.REFUSALS}


def of(problem: CompilerProblem) -> RefusalKind | None:
    """What is known of the kind of refusal that the compiler stopped at."""
    return BY_KIND.get(problem.complaint.kind) if problem.complaint is not None else None


def independent(problem: CompilerProblem) -> bool:
    """Whether a refusal is a reason of its own, whatever values the expression reads."""
    refusal = of(problem)
    return refusal is not None and refusal.independent


def mended(problem: CompilerProblem, module: nn.Module, search: RefusalSearch) -> bool:
    """Change of the instances, or of what torch sees of a function, what no edit of a source can: whether there was
    such a thing.
    """
    refusal = of(problem)
    return refusal is not None and refusal.mended is not None and refusal.mended(problem, module, search)
