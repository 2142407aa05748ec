"""A module that statements made and changed is spelled as one expression that makes it so again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ts_shape_server.agent.infer.guesses import remade

OWN: dict[str, Any] = {"nn": nn, "torch": torch}
MADE = "net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))"


def spelled(setup: str, text: str = "net") -> str | None:
    namespace: dict[str, Any] = dict(OWN)
    exec(setup, namespace)
    return remade.spelled(setup, text, namespace, OWN)


@pytest.mark.parametrize(
    ("setup", "text", "expression"),
    [
        (MADE, "net", "nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))"),
        (
            f"{MADE}\nnet.head = nn.Identity()",
            "net",
            "(lambda net: (setattr(net, 'head', nn.Identity()), net)[-1])"
            "(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))",
        ),
        (
            f"{MADE}\nnet[1] = nn.Identity()",
            "net",
            "(lambda net: (net.__setitem__(1, nn.Identity()), net)[-1])"
            "(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))",
        ),
        ("width = 4\nother = 5\nnet = nn.Linear(width, 2)", "net", "(lambda width: nn.Linear(width, 2))(4)"),
        ("net = nn.Linear(4, 2)\nnet = nn.Sequential(net)", "net", "(lambda net: nn.Sequential(net))(nn.Linear(4, 2))"),
        (
            "net = nn.Linear(4, 2)\nfor p in net.parameters():\n    p.requires_grad = False",
            "net",
            "nn.Linear(4, 2)",
        ),
        ("net = nn.Linear(4, 2)", "[net]", "(lambda net: [net])(nn.Linear(4, 2))"),
    ],
)
def test_a_module_is_made_and_changed_again(setup: str, text: str, expression: str) -> None:
    found = spelled(setup, text)
    assert found == expression
    namespace: dict[str, Any] = dict(OWN)
    exec(setup, namespace)
    assert repr(eval(found, dict(OWN))) == repr(eval(text, namespace))


@pytest.mark.parametrize(
    "setup",
    [
        "net = nn.Linear(4, 2)\nwith torch.no_grad():\n    net = nn.Linear(2, 2)",
        "net = [nn.Linear(n, 2) for n in (2, 3)]",
        "net = nn.Sequential()\nfor n in (2, 3):\n    net.append(nn.Linear(n, 2))",
        "net, other = nn.Linear(4, 2), 3",
    ],
)
def test_what_has_no_such_spelling_has_none(setup: str) -> None:
    assert spelled(setup) is None
