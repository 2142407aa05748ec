"""What is said when memory is short, when tensors without memory are asked for values, and of files that hold code."""

from __future__ import annotations

from ts_shape_server.agent.torch_says.rows import Row, row

NEEDS_VALUES = (
    "DataDependentOutputException",
    "DynamicOutputShapeException",
    "GuardOnDataDependentSymNode",
    "UnsupportedOperatorException",
    "UnsupportedFakeTensorException",
    "PendingUnbackedSymbolNotFound",
)
"""Names of the exceptions by which torch says that an operation needs the values of a tensor without memory."""


def _values(pattern: str, *said: str) -> Row:
    return row("values-needed", pattern, *said)


def _memory(pattern: str, *said: str) -> Row:
    return row("out-of-memory", pattern, *said)


ROWS = (
    _values(
        r"Cannot access data pointer",
        "Cannot access data pointer of Tensor (e.g. FakeTensor, FunctionalTensor). If you're using "
        "torch.compile/export/fx, it is likely that we are erroneously tracing into a custom kernel.",
    ),
    _values(
        r"its data is not allocated yet",
        "The tensor has a non-zero number of elements, but its data is not allocated yet.",
    ),
    _values(r"is not tracked with proxy", "FakeTensor(..., size=(2,)) is not tracked with proxy for <PythonKeyTracer>"),
    _values(
        r"\.(?:numpy|tolist)\(\) is not supported for tensor subclasses",
        ".numpy() is not supported for tensor subclasses.",
        ".tolist() is not supported for tensor subclasses.",
    ),
    # A nested tensor is made: the sizes of its rows have no place among tensors without memory.
    _values(r"self\.shape_env must not be None", "self.shape_env must not be None"),
    # torch 2.2, of lengths without memory.
    _values(
        r"should be a 1D CPU int64 tensor, but got \dD meta",
        "'lengths' argument should be a 1D CPU int64 tensor, but got 1D meta Long tensor",
    ),
    _memory(r"not enough memory", "DefaultCPUAllocator: not enough memory: you tried to allocate 64 bytes."),
    _memory(r"Cannot allocate memory", "[Errno 12] Cannot allocate memory"),
    _memory(
        r"DefaultCPUAllocator",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)",
    ),
    # What a probe does not have, whatever goes in.
    row(
        "surroundings-missing",
        r"process group has not been initialized",
        "Default process group has not been initialized, please make sure to call init_process_group.",
    ),
    row("surroundings-missing", r"not compiled with CUDA", "Torch not compiled with CUDA enabled"),
    row(
        "surroundings-missing",
        r"Found no NVIDIA driver",
        "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from",
    ),
    row("surroundings-missing", r"No CUDA GPUs are available", "No CUDA GPUs are available"),
    row(
        "surroundings-missing",
        r"Legacy autograd function",
        "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function",
    ),
    row(
        "surroundings-missing",
        r"urlopen error",
        "<urlopen error [Errno -3] Temporary failure in name resolution>",
    ),
    row(
        "pickled-code",
        r"weights_only|Unsupported",
        "Weights only load failed. In PyTorch 2.6, we changed the default value of the `weights_only` argument",
        "Unsupported operand 149",
    ),
)
