"""A module that was converted takes inputs of its own dtype; one that converts them itself takes the usual one.

And a dict of which nothing is known until a key is missed has the keys that were missed, and no other.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report


@pytest.mark.parametrize(
    ("init", "forward", "dtype"),
    [
        ("self.c = nn.Conv2d(3, 8, 3).half()", "return self.c(x)", "float16"),
        ("self.c = nn.Conv2d(3, 8, 3).half()", "return self.c(x.half())", "float32"),
        ("self.f = nn.Linear(3, 8).double()", "return self.f(x)", "float64"),
        ("self.f = nn.Linear(3, 8).double()", "return self.f(x.relu())", "float64"),
        ("self.r = nn.LSTM(16, 2).bfloat16()", "return self.r(x)[0]", "bfloat16"),
        ("self.n = nn.LayerNorm(24).half(); self.f = nn.Linear(24, 2).half()", "return self.f(self.n(x))", "float16"),
        ("self.a = nn.MultiheadAttention(16, 2).double()", "return self.a(x, x, x)[0]", "float64"),
    ],
)
def test_the_dtype_of_an_input_is_that_of_the_weights_it_meets(
    tmp_path: Path, init: str, forward: str, dtype: str
) -> None:
    found = report(tmp_path, net(init, forward))
    assert found["status"] == "ok", found["reason"]
    assert found["inputs"][0]["dtype"] == dtype


def test_a_dict_has_the_keys_that_are_missed(tmp_path: Path) -> None:
    inner = net("self.e = nn.Embedding(9, 4)", "return self.e(batch['ids']) * batch['scale']", "batch")
    outer = net("self.net = Inner()", "return self.net(batch)", "batch: Dict[str, Tensor]")
    found = report(tmp_path, inner.replace("class Net", "class Inner") + "\n" + outer)
    assert found["status"] == "ok", found["reason"]
    assert found["inputs"][0]["keys"] == ["ids", "scale"]
    assert found["inputs"][0]["items"][0]["dtype"] == "int64"
