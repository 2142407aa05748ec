"""A refusal, a trap or a warning as the contract spells it: the one place in this folder that does.

`kind` and `facts` are what others decide by; `message` is for people alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

DETAIL_LIMIT = 4000
"""Characters of torch's own text."""

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
    complaints: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """A Failure of the contract."""
    return {
        "code": code,
        "message": message,
        "location": location,
        "detail": detail.strip()[:DETAIL_LIMIT],
        "related": list(related),
        "kind": kind,
        "facts": dict(facts or {}),
        "complaints": list(complaints),
    }


def identities(failures: Iterable[Mapping[str, Any]]) -> Counter[tuple[Any, ...]]:
    """How often each failure is there: equal are those of one kind about the same facts, wherever they stand."""
    return Counter(identity(item) for item in failures)


def identity(failure: Mapping[str, Any]) -> tuple[Any, ...]:
    facts = sorted((name, str(value)) for name, value in (failure.get("facts") or {}).items())
    return failure.get("code", ""), failure.get("kind", ""), *facts
