"""A refusal, a trap or a warning as the contract spells it: the one place in this folder that does.

`kind` and `facts` are what others decide by; `message` is for people alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ts_shape_server.agent.torch_says import compiler

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
    location: dict[str, Any] | None,
    detail: str = "",
    related: Iterable[dict[str, Any]] = (),
    facts: Facts | None = None,
) -> dict[str, Any]:
    """A Failure of the contract, with what torch's own text (`detail`) complains of."""
    return {
        "code": code,
        "message": message,
        "location": location,
        "detail": detail.strip()[:DETAIL_LIMIT],
        "related": list(related),
        "kind": kind,
        "facts": dict(facts or {}),
        "complaints": [
            {"kind": item.kind, "facts": {name: _plain(value) for name, value in item.facts.items()}}
            for item in compiler.read(detail)
        ],
    }


def one_line(error: BaseException) -> str:
    """The type of an error and the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}"[:200] if lines else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of what an error says, the name of its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _plain(value: object) -> object:
    return list(value[:MOST_ITEMS]) if isinstance(value, tuple) else value


def identities(failures: Iterable[Mapping[str, Any]]) -> Counter[tuple[Any, ...]]:
    """How often each failure is there: equal are those of one kind about the same facts, wherever they stand."""
    return Counter(identity(item) for item in failures)


def identity(failure: Mapping[str, Any]) -> tuple[Any, ...]:
    facts = sorted((name, str(value)) for name, value in (failure.get("facts") or {}).items())
    return failure.get("code", ""), failure.get("kind", ""), *facts
