"""Makes instances: in a fake mode without memory where the constructor allows, else on real memory left uninitialised.

Knows nothing of where the arguments come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import runs
from ts_shape_server.agent.infer.running import conversions, symbolic
from ts_shape_server.agent.infer.running.memory import SkipInitialisation, WithoutValues
from ts_shape_server.agent.infer.running.session import Session

_OF_PYTHON = (TypeError, AttributeError, LookupError, NameError, ImportError, ValueError, ArithmeticError, OSError)
"""What Python and the constructor's own code raise. A `RuntimeError` may be torch's, for want of values."""


def build(cls: type[nn.Module], plan: Mapping[str, str], namespace: Mapping[str, Any], fake: bool) -> Session:
    """A session for `cls` with these arguments. Raises what the constructor raises."""

    def make_real() -> nn.Module:
        runs.seed()
        return runs.in_eval(runs.build(cls, plan, namespace))

    def make_light() -> nn.Module:
        with SkipInitialisation(fill=0.01), torch.no_grad():
            return make_real()

    if fake:
        mode = symbolic.new_mode()
        without_values = WithoutValues(mode)
        try:
            with mode, torch.no_grad(), without_values, conversions.of_fake_parameters():
                runs.seed()
                return Session(
                    cls, namespace, mode, runs.in_eval(runs.build(cls, plan, namespace)), make_real, make_light
                )
        except Exception as error:
            if isinstance(error, _OF_PYTHON) and not without_values.refused:
                # Torch has done all that it was asked for: memory would change nothing.
                raise
            runs.seed()
            with SkipInitialisation(), torch.no_grad():
                instance = runs.in_eval(runs.build(cls, plan, namespace))
            return Session(cls, namespace, mode, instance, make_real, make_light)
    return Session(cls, namespace, None, None, make_real)
