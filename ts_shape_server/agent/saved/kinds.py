"""Tells what a file is by its first bytes and its table of contents, before any of it is unpickled or run.

The file is a stranger's: what it says of its own sizes is checked before it is believed. Knows no torch.
"""

from __future__ import annotations

import json
import os
import pickletools
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

MOST_ENTRIES = 200_000
MOST_BYTES = 16 << 30
"""Of all entries together, unpacked."""
MOST_EXPANSION = 200
"""So many times its size on disk may a file be when unpacked: torch stores weights as they are."""
_HELD = ("data", "constants")
"""Where an archive keeps the tensors of its module, and those of its code."""
MOST_HEADER = 64 << 20
MOST_SPEC = 4 << 20
SPEC_FILE = "ts_shape.json"
_KNOWN_EXTRA = frozenset([SPEC_FILE, "producer_info.json"])
_SIGNATURES = (
    (b"\x89HDF", "an HDF5 file, as Keras writes it", "save the module from torch with `torch.jit.save`"),
    (b"\x93NUMPY", "a NumPy array", "it holds no module, load it with `numpy.load`"),
    (b"GGUF", "a GGUF file", "it holds weights for another runtime, and no module of torch's"),
    (b"\x7fELF", "a program or shared library", "it holds no module that can be inspected"),
    (b"\x1f\x8b", "packed with gzip", "unpack it first"),
    (b"<!DOCTYPE", "a web page, as a failed download leaves it", "download the file itself"),
    (b"<!doctype", "a web page, as a failed download leaves it", "download the file itself"),
    (b"<html", "a web page, as a failed download leaves it", "download the file itself"),
    (b"version https://git-lfs", "a Git LFS pointer and not the file itself", "fetch it with `git lfs pull`"),
)
_PACKED = (".pt", ".pth", ".pt2", ".ptl", ".ckpt", ".safetensors")
_ZIPPED = {
    "MAR-INF/MANIFEST.json": ("an archive of TorchServe", "unpack it, and name the module in it"),
    "metadata.json": ("a Keras model", "save the module from torch with `torch.jit.save`"),
}
"""What a zip file is, and what to do, by an entry that only such a file has."""


@dataclass(frozen=True)
class Kind:
    """`name` is ``script``, ``trace``, ``program``, ``pickle``, ``safetensors`` or ``other``. `statement` is a clause
    that says what it is, `advice` one that says what to do; both are empty for what torch loads.

    `extra` are files that whoever saved it put beside the module; `spec` is the text of the input spec among them.
    """

    name: str
    statement: str = ""
    advice: str = ""
    facts: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    spec: str | None = None

    @property
    def message(self) -> str:
        """The sentence for a person, empty for what torch loads."""
        return f"{self.statement[:1].upper()}{self.statement[1:]}: {self.advice}." if self.statement else ""


def kind_of(path: str) -> Kind:
    """What the file is. Raises OSError where it cannot be read."""
    size = os.path.getsize(path)
    if not size:
        return Kind("other", "the file is empty", "it was not written to its end")
    with open(path, "rb") as file:
        head = file.read(512)
    if head[:4] == b"PK\x03\x04":
        return _zipped(path, size)
    if head[:1] == b"\x80":
        return Kind("pickle")
    for signature, what, advice in _SIGNATURES:
        if head.startswith(signature):
            return Kind("other", f"it is {what}", advice)
    header = _safetensors(path, head, size)
    if header is not None:
        return header
    if path.endswith(".safetensors"):
        return Kind("other", "it is named as a file of safetensors, and its header is damaged", "copy or save it again")
    if head[257:262] == b"ustar":
        return Kind("other", "it is a tar archive", "unpack it first")
    if head[4:8] == b"TFL3":
        return Kind("other", "it is a TensorFlow Lite model", "it holds no module of torch's")
    if path.endswith(".onnx") or (b"pytorch" in head and head[:1] == b"\x08"):
        return Kind("other", "it is an ONNX model", "its inputs are in its own graph, `onnx.load(path).graph.input`")
    return Kind(
        "other", "it is no file that torch writes", "save the module with `torch.jit.save` or `torch.export.save`"
    )


def _zipped(path: str, size: int) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            refused = _too_large(entries, size)
            if refused is not None:
                return Kind("other", *refused)
            names = [entry.filename for entry in entries]
            extra = tuple(part for part in map(_beside, names) if part)
            spec = _spec(archive, entries)
    except Exception:  # zipfile lets through what seeking, unpacking and decoding raise on a damaged file
        return Kind("other", "the file is cut off or damaged", "copy or save it again")
    beside = tuple(name for name in extra if name not in _KNOWN_EXTRA)
    inner = {name.split("/", 1)[1] for name in names if "/" in name}
    if any(name.startswith("code/") for name in inner) and "constants.pkl" in inner:
        name = "trace" if "traced_inputs.pkl" in inner else "script"
        return Kind(name, facts=_frozen(entries), extra=beside, spec=spec)
    if "archive_format" in inner or "serialized_exported_program.json" in names:
        return Kind("program", extra=beside, spec=spec)
    if any(name.endswith(".data/extern_modules") for name in names):
        return Kind("other", "it is a package of `torch.package`", "it holds code, which is not run here")
    if "data.pkl" in inner:
        return Kind("pickle")
    if names and all(name.endswith(".npy") for name in names):
        return Kind("other", "it is a file of NumPy arrays", "it holds no module, load it with `numpy.load`")
    for entry, (what, advice) in _ZIPPED.items():
        if entry in names:
            return Kind("other", f"it is {what}", advice)
    packed = next((name for name in names if name.endswith(_PACKED)), None)
    if packed is not None:
        return Kind("other", f"it is a zip file that holds {packed}", "unpack it, and name that")
    return Kind("other", "it is a zip file that torch did not write", "save the module with `torch.jit.save`")


def _frozen(entries: list[zipfile.ZipInfo]) -> tuple[str, ...]:
    """A fact about an archive that has no parameters and keeps tensors in its code, as a frozen one does."""
    held = {part: sum(entry.file_size for entry in entries if f"/{part}/" in entry.filename) for part in _HELD}
    if held["data"] or not held["constants"]:
        return ()
    return (f"no weights of its own: {held['constants']} bytes of constants in its code, as freezing leaves them",)


def _too_large(entries: list[zipfile.ZipInfo], size: int) -> tuple[str, str] | None:
    """What is said of a file that is not opened, and that it is not; None for one that may be."""
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES:
        return f"the file has {len(entries)} entries, more than any that torch writes", "it is not opened"
    if total > MOST_BYTES:
        most = f"more than the {MOST_BYTES >> 30} GiB that are opened here"
        return f"the file unpacks to {total >> 30} GiB, {most}", "it is not opened"
    if total > MOST_EXPANSION * size + MOST_SPEC:
        return "the file unpacks to far more than its size, which no file of torch's does", "it is not opened"
    return None


def _beside(entry: str) -> str:
    """The name of what was put beside a module, empty for a part of it. Older programs have a folder of their own."""
    if entry.startswith("extra_files/"):
        return entry.partition("/")[2]
    return entry.partition("/extra/")[2]


def _spec(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> str | None:
    found = next((entry for entry in entries if _beside(entry.filename) == SPEC_FILE), None)
    if found is None or found.file_size > MOST_SPEC:
        return None
    return archive.read(found).decode("utf-8", "replace")


def _safetensors(path: str, head: bytes, size: int) -> Kind | None:
    if len(head) < 10 or head[8:9] != b"{":
        return None
    length = struct.unpack("<Q", head[:8])[0]
    if length > min(MOST_HEADER, size - 8):
        return None
    with open(path, "rb") as file:
        file.seek(8)
        text = file.read(length)
    try:
        entries = json.loads(text)
        tensors = {name: item for name, item in entries.items() if name != "__metadata__"}
        dtypes = sorted({str(item["dtype"]) for item in tensors.values()})
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None
    return Kind(
        "safetensors",
        "it holds weights and no module",
        "what goes in is told by the class that they are for",
        (f"{len(tensors)} {'tensor' if len(tensors) == 1 else 'tensors'} of {', '.join(dtypes) or 'no type'}",),
    )


def pickled_classes(data: bytes) -> Iterator[str]:
    """The names that a pickle asks for, ``module.Class``, in order; read from its operations, none of them run."""
    strings: list[str] = []
    try:
        for operation, argument, _ in pickletools.genops(data):
            if operation.name == "GLOBAL" and isinstance(argument, str):
                yield argument.replace(" ", ".")
            elif operation.name == "STACK_GLOBAL" and len(strings) > 1:
                yield f"{strings[-2]}.{strings[-1]}"
            elif "UNICODE" in operation.name or operation.name.endswith("STRING"):
                strings.append(str(argument))
    except (ValueError, IndexError, EOFError, UnicodeDecodeError, OverflowError, MemoryError):
        return
