"""Whether an error is about memory: there is none left, or a tensor without memory was asked for its values."""

from __future__ import annotations

from collections.abc import Iterator

from ts_shape_server.agent.torch_says import reading, resources


def needs_values(error: BaseException | None) -> bool:
    """Whether a run, or what is behind its error, asked for values that fake tensors do not have."""
    return any(
        any(name in type(item).__name__ for name in resources.NEEDS_VALUES) or "values-needed" in reading.read(item)
        for item in _with_causes(error)
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short. A recursion without end is told in words that may say so too."""
    if isinstance(error, RecursionError):
        return False
    return isinstance(error, MemoryError) or "out-of-memory" in reading.read(error)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
