"""torchaudio: what its transforms and models take as `waveform` is a batch of samples in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.guesses.values import Guess, TensorGuess

BATCH, SAMPLES = 2, 16000


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    for item in asked.passed:
        if type(item.target).__module__.startswith("torchaudio.") and item.parameter in ("waveform", "waveforms"):
            return TensorGuess((BATCH, SAMPLES), axes=("B", "T"))
    return None
