"""What the tests of this folder say of the scenes that a script has played in the workbench."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Seen = Mapping[str, Any]
"""By scene: what it has `shown`, or its `error`."""
Drive = Callable[..., Seen]
"""Plays a script: its name, the query of the workbench's address, and what else the script is given."""


def shown(seen: Seen, scene: str) -> Any:
    """What a scene has given."""
    assert scene in seen, f"an earlier scene failed: {seen}"
    assert "error" not in seen[scene], f"{seen[scene]['error']}; test-results/{scene}.png shows it"
    return seen[scene]["shown"]
