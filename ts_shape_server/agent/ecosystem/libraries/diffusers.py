"""diffusers: a model or scheduler by name has the configuration of the user's cache, else its class' own defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked, checkpoints
from ts_shape_server.agent.infer.guesses.values import Guess, OneSize, TensorGuess


def _configuration_utils(module: Any) -> None:
    def load_config(cls: Any, /, pretrained_model_name_or_path: Any, *_: Any, **keywords: Any) -> Any:
        name, subfolder = pretrained_model_name_or_path, keywords.pop("subfolder", None) or ""
        known = checkpoints.configuration(name, cls.config_name or "config.json", subfolder) or {}
        unused, commit = keywords.pop("return_unused_kwargs", False), keywords.pop("return_commit_hash", False)
        if not unused and not commit:
            return known
        return (known, *((keywords,) if unused else ()), *((None,) if commit else ()))

    module.ConfigMixin.load_config = classmethod(load_config)


def _modeling_utils(module: Any) -> None:
    def from_pretrained(cls: Any, /, pretrained_model_name_or_path: Any, **keywords: Any) -> Any:
        name, subfolder = pretrained_model_name_or_path, keywords.get("subfolder") or ""
        known = checkpoints.configuration(name, cls.config_name or "config.json", subfolder)
        shown = f"{checkpoints.shortened(name)}/{subfolder}" if subfolder else name
        checkpoints.weights(shown, "" if known is not None else f", made with the defaults of `{cls.__name__}`")
        made = cls.from_config(known or {})
        made.eval()
        return (made, {}) if keywords.get("output_loading_info") else made

    module.ModelMixin.from_pretrained = classmethod(from_pretrained)


BATCH, LENGTH, STEPS = 2, 8, 1000


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """What parts of the library take under the name that the input is passed as: time steps are `(B,)`."""
    for item in asked.passed:
        target = item.target
        if not any(base.__module__.startswith("diffusers.") for base in type(target).__mro__):
            continue
        config = getattr(target, "config", None) or {}
        if item.parameter in ("timestep", "timesteps"):
            return TensorGuess((BATCH,), "int64", 0, STEPS - 1, (_B,))
        if item.parameter == "encoder_hidden_states" and isinstance(config.get("cross_attention_dim"), int):
            return TensorGuess((BATCH, LENGTH, config["cross_attention_dim"]), axes=(_B, "L", None))
        if item.parameter == "sample" and isinstance(config.get("in_channels"), int):
            return TensorGuess((BATCH, config["in_channels"], 32, 32), axes=(_B, None, None, None))
    return None


_B = OneSize("B")
WATCHED: Mapping[str, Callable[[Any], None]] = {
    "diffusers.configuration_utils": _configuration_utils,
    "diffusers.models.modeling_utils": _modeling_utils,
}
