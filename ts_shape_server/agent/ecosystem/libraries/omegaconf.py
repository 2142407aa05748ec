"""omegaconf: a configuration is spelled by what it holds, so that it can be made anew wherever a report is read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def spelled(value: Any, namespace: Mapping[str, Any]) -> str | None:
    """A `DictConfig` or `ListConfig` as a call of `OmegaConf.create`, its interpolations resolved where they can be."""
    library: Any = sys.modules["omegaconf"]
    if not isinstance(value, (library.DictConfig, library.ListConfig)):
        return None
    try:
        plain = library.OmegaConf.to_container(value, resolve=True)
    except library.errors.OmegaConfBaseException:
        plain = library.OmegaConf.to_container(value, resolve=False)
    name = "OmegaConf" if namespace.get("OmegaConf") is library.OmegaConf else "__import__('omegaconf').OmegaConf"
    return f"{name}.create({plain!r})"
