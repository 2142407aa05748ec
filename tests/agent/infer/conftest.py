"""What holds for all tests that run inference in their own process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A probe silences logging in its own process; here that process is the tests'."""
    yield
    logging.disable(logging.NOTSET)
