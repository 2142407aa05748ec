"""The surroundings in which a slice of the workspace's code runs as it would for its author, short of the machine.

Its folder is on the path and is the current one, command lines are empty and ask for nothing (a number that has to be
given is guessed by its name), loaders work in this process, and what is printed is not seen. What stands for a missing
package has no length there, since numbers that are made of it are nobody's. Everything is put back. Knows nothing of
what is drawn.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

from torch.utils import data

from ts_shape_server.agent import command_lines, standins
from ts_shape_server.agent.command_lines import ByName

_ALONE = {"num_workers": 0, "pin_memory": False, "persistent_workers": False, "prefetch_factor": None, "timeout": 0}
_POSITIONS = {5: "num_workers", 7: "pin_memory", 9: "timeout"}
"""Places of those among a loader's positional arguments, `self` left out."""


@contextlib.contextmanager
def surroundings(path: str, root: str, by_name: ByName) -> Iterator[None]:
    """What the code of the file at `path` finds around it, in the workspace folder `root`. `by_name` guesses what a
    command line has to give.
    """
    kept_path, kept_arguments = list(sys.path), list(sys.argv)
    folder = os.path.dirname(path)
    before = os.getcwd()
    with (
        contextlib.redirect_stdout(io.StringIO()),
        command_lines.empty(by_name),
        _loaders_alone(),
        standins.of_no_length(),
    ):
        try:
            sys.path[:] = [*kept_path, *(item for item in (folder, root) if item and item not in kept_path)]
            sys.argv[:] = [path or "evidence"]
            _enter(root)
            yield
        finally:
            sys.path[:], sys.argv[:] = kept_path, kept_arguments
            _enter(before)


def _enter(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.chdir(folder)


@contextlib.contextmanager
def _loaders_alone() -> Iterator[None]:
    """Loaders start no processes: a sandbox has none to give, and one item needs none."""
    original = data.DataLoader.__init__

    def alone(self: Any, *arguments: Any, **keywords: Any) -> None:
        plain: list[Any] = [
            _ALONE[_POSITIONS[place]] if place in _POSITIONS else item for place, item in enumerate(arguments)
        ]
        original(self, *plain, **{name: _ALONE.get(name, item) for name, item in keywords.items()})

    data.DataLoader.__init__ = alone  # type: ignore[method-assign]  # put back below
    try:
        yield
    finally:
        data.DataLoader.__init__ = original  # type: ignore[method-assign]  # as it was
