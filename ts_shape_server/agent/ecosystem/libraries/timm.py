"""timm: `create_model(name, pretrained=True)` gives the architecture of that name with random weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.absent import UnknownWeights
from ts_shape_server.agent.ecosystem import checkpoints


def _builder(module: Any) -> None:
    def load_pretrained(model: Any, pretrained_cfg: Any = None, *_: Any, **__: Any) -> None:
        known = pretrained_cfg or getattr(model, "pretrained_cfg", None) or {}
        known = known if isinstance(known, Mapping) else vars(known)
        checkpoints.weights(known.get("hf_hub_id") or known.get("architecture") or type(model).__name__)

    module.load_pretrained = load_pretrained


def _helpers(module: Any) -> None:
    usual = module.load_state_dict

    def load_state_dict(checkpoint_path: Any, *arguments: Any, **keywords: Any) -> Any:
        if checkpoint_path and os.path.isfile(checkpoint_path):
            return usual(checkpoint_path, *arguments, **keywords)
        checkpoints.weights(checkpoint_path)
        return UnknownWeights()

    module.load_state_dict = load_state_dict


def _factory(module: Any) -> None:
    usual = module.load_model_config_from_hf

    def load_model_config_from_hf(model_id: str, *arguments: Any, **keywords: Any) -> Any:
        """Where the hub's file is not here: the architecture that the model's name says."""
        try:
            return usual(model_id, *arguments, **keywords)
        except Exception:
            name = model_id.split("@")[0].rsplit("/", 1)[-1]
            if not module.is_model(name):
                raise
            return {"hf_hub_id": model_id, "architecture": name.split(".")[0]}, name, {}

    module.load_model_config_from_hf = load_model_config_from_hf


WATCHED: Mapping[str, Callable[[Any], None]] = {
    "timm.models._builder": _builder,
    "timm.models.helpers": _builder,
    "timm.models._helpers": _helpers,
    "timm.models._factory": _factory,
}
