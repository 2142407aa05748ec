"""open_clip: `create_model_and_transforms(name, pretrained=tag)` gives the architecture of that name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import checkpoints
from ts_shape_server.agent.ecosystem.libraries.huggingface_hub import absent


def _factory(module: Any) -> None:
    def download_pretrained(cfg: Any, *_: Any, **__: Any) -> str:
        known = cfg if isinstance(cfg, Mapping) else {}
        checkpoints.weights(str(known.get("hf_hub") or known.get("url") or "of open_clip").strip("/"))
        return absent("open_clip.pt")

    def load_checkpoint(model: Any, checkpoint_path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not str(checkpoint_path).startswith(absent("")):
            checkpoints.weights(checkpoint_path)
        return {}

    module.download_pretrained = download_pretrained
    module.load_checkpoint = load_checkpoint


WATCHED: Mapping[str, Callable[[Any], None]] = {"open_clip.factory": _factory}
