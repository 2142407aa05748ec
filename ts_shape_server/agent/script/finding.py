"""A refusal, a trap or a warning as a Failure of the contract: the one place in this folder that makes them.

`kind` and `facts` are what others decide by; `message` is for people alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ts_shape_server.agent.torch_says import compiler
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Fact, Failure, ReportedComplaint

DETAIL_LIMIT = 4000
"""Characters of torch's own text."""

MOST_ITEMS = 100
"""Of a fact."""

Code = Literal["script-error", "script-trap", "trace-warning", "export-error"]
Facts = Mapping[str, Any]
"""Texts, numbers, or lists of them."""


def finding(
    code: Code,
    kind: str,
    message: str,
    location: Location | None,
    detail: str = "",
    related: Iterable[Location] = (),
    facts: Facts | None = None,
) -> Failure:
    """A Failure of the contract, with what torch's own text (`detail`) complains of."""
    complaints = tuple(ReportedComplaint(item.kind, _plain(item.facts)) for item in compiler.read(detail))
    return Failure(
        code,
        message,
        location,
        detail.strip()[:DETAIL_LIMIT],
        tuple(related),
        kind=kind,
        facts=_plain(facts or {}),
        complaints=complaints,
    )


def first_line(error: BaseException) -> str:
    """The first line of what an error says, the name of its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _plain(facts: Facts) -> tuple[tuple[str, Fact], ...]:
    return tuple(
        (name, tuple(value[:MOST_ITEMS]) if isinstance(value, (tuple, list)) else value)
        for name, value in sorted(facts.items())
    )


def identities(failures: Iterable[Failure]) -> Counter[tuple[Any, ...]]:
    """How often each failure is there: equal are those of one kind about the same facts, wherever they stand."""
    return Counter(item.identity for item in failures)
