"""sentence_transformers: an encoder takes what the tokenizer gives, under its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ts_shape_server.agent.ecosystem import SPREAD, Asked
from ts_shape_server.agent.ecosystem.libraries import transformers
from ts_shape_server.agent.infer.guesses.values import Guess


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """What the model takes by its keys that an encoder is made of."""
    passed = tuple(
        replace(item, target=model, parameter=SPREAD)
        for item in asked.passed
        if item.parameter in ("input", "features") and _is_encoder(item.target)
        for model in [next((part for part in item.target.modules() if transformers.is_model(part)), None)]
        if model is not None
    )
    return transformers.container(replace(asked, passed=passed), namespace) if passed else None


def _is_encoder(target: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "sentence_transformers" for base in type(target).__mro__)
