"""The files of a ParityBench checkout (`generated/`) as the tool may see them, and which of them are for development.

The list of cases that the corpus' own deducer found is cut off: it would give the answers away. Knows nothing of the
tool.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

_ANSWERS = "\nTESTCASES = ["


@dataclass(frozen=True)
class Source:
    """One file of the corpus: its name, and its text without the answers."""

    name: str
    text: str


def names(folder: Path, half: str = "development") -> list[str]:
    """The corpus' files by name. The development half has an even first hex digit in the SHA-1 of the file name."""
    found = sorted(path.name for path in folder.glob("test_*.py"))
    return [name for name in found if half == "all" or is_development(name) == (half == "development")]


def is_development(name: str) -> bool:
    return int(hashlib.sha1(name.encode()).hexdigest()[0], 16) % 2 == 0


def sample(found: list[str], size: int | None, seed: int) -> list[str]:
    """`size` of the names, the same for the same seed, and a larger sample begins with the smaller one."""
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    return shuffled if size is None else shuffled[:size]


def read(folder: Path, name: str) -> Source:
    text = (folder / name).read_text(encoding="utf-8", errors="replace")
    return Source(name, text.partition(_ANSWERS)[0] + "\n")


def answers(folder: Path, name: str) -> str:
    """The text that defines the cases of the corpus' own deducer; empty where it found none."""
    _, found, rest = (folder / name).read_text(encoding="utf-8", errors="replace").partition(_ANSWERS)
    return found.lstrip() + rest if found else ""
