"""What the text of `forward` says of a parameter, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.agent.infer.facts import body

LIST, NOTHING = ("list", ()), ("", ())
CASES: dict[str, tuple[str, tuple[str, tuple[str, ...]]]] = {
    "a list that is joined": ("return torch.cat(x, 1)", LIST),
    "a list that may come too": ("if isinstance(x, list):\n    x = torch.cat(x, 1)\nreturn x", NOTHING),
    "a list or tuple that may come too": ("return torch.cat(x) if isinstance(x, (list, tuple)) else x", NOTHING),
    "a list and nothing else": (
        "if isinstance(x, list):\n    x = torch.cat(x, 1)\nelse:\n    raise TypeError(x)\nreturn x",
        LIST,
    ),
    "a dict that may come too": ("if isinstance(x, dict):\n    x = x['image']\nreturn x", NOTHING),
    "a name that a comprehension takes for something else": (
        "parts = [x]\nreturn [torch.cat(x, 1) for x in [parts, parts]]",
        NOTHING,
    ),
    "a dict that is read": ("return x['image']", ("dict", ("image",))),
    "a Tensor that may come too": ("if isinstance(x, torch.Tensor):\n    x = [x]\nreturn x", NOTHING),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_body_says(tmp_path: Path, name: str) -> None:
    text, (kind, keys) = CASES[name]
    path = tmp_path / "net.py"
    path.write_text("def forward(self, x):\n" + "".join(f"    {line}\n" for line in text.splitlines()))
    namespace: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    hint = body.hints(namespace["forward"])["x"]
    assert (hint.kind, hint.keys) == (kind, keys)
