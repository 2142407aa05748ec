"""peft: an adapted model takes what the model takes that it adapts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.ecosystem.libraries import transformers
from ts_shape_server.agent.infer.guesses.values import Guess


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """What the model documents that is adapted."""
    passed = tuple(replace(item, target=_base(item.target)) for item in asked.passed if _is_adapted(item.target))
    return transformers.container(replace(asked, passed=passed), namespace) if passed else None


def _is_adapted(target: Any) -> bool:
    return any(
        base.__name__ == "PeftModel" and base.__module__.partition(".")[0] == "peft" for base in type(target).__mro__
    )


def _base(target: Any) -> Any:
    return target.get_base_model()
