"""Where a failure stands is compared with torch's own mark."""

from __future__ import annotations

import pytest

from benchmarks.repair.located import place
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Failure

DEFAULT = """Expected a default value of type Tensor (inferred) on parameter "by":
  File "/net.py", line 7
    def forward(self, x, by=2):
    ~~~~~~~~~~~~~~~~~~~~~~~~~~~
        return x * by
        ~~~~~~~~~~~~~ <--- HERE
"""


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (Range(7, 4, 7, 9), "exact"),
        (Range(7, 25, 7, 27), "inside"),
        (Range(8, 15, 8, 21), "inside"),
        (Range(7, 0, 7, 3), "line"),
        (Range(9, 0, 9, 3), "other"),
    ],
)
def test_a_place_is_compared_with_torchs_mark(where: Range, name: str) -> None:
    failure = Failure("script-error", "words", Location("/net.py", where), DEFAULT)
    assert place(failure, "/net.py") == name


def test_what_torch_does_not_mark_in_the_file_is_no_error_of_place() -> None:
    assert (
        place(Failure("script-error", "words", Location("/net.py", Range(7, 4, 7, 9)), DEFAULT), "/other.py")
        == "unmarked"
    )
    assert place(Failure("script-error", "words", None, DEFAULT), "/net.py") == "none"
