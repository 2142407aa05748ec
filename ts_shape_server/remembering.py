"""Results for texts, kept while there is room. An edited file is another text at each key, and what was read of those
before is asked for no more: so what counts is how many characters are kept, and not only how many results.

Knows nothing of what the texts are.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

LEAST = 4 << 20
"""Characters for which each function has room in any case."""


class Room:
    """How many characters of texts each function may keep results for, the ones that were asked for last."""

    def __init__(self) -> None:
        self.characters = LEAST

    def for_texts(self, characters: int) -> None:
        """Make room for texts of so many characters that are in use, and for as many that were."""
        self.characters = max(self.characters, LEAST + 2 * characters)


def remembered(room: Room, most: int) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Have a function of texts asked once for the same arguments, of which `most` are kept."""

    def decorated(function: Callable[Given, Result]) -> Callable[Given, Result]:
        known: OrderedDict[Any, tuple[int, Result]] = OrderedDict()
        lock = threading.Lock()
        kept = 0

        def asked(*arguments: Given.args, **keywords: Given.kwargs) -> Result:
            nonlocal kept
            key = arguments if not keywords else (arguments, tuple(keywords.items()))
            found = known.get(key)
            if found is not None:
                with contextlib.suppress(KeyError):  # another thread has just made room
                    known.move_to_end(key)
                return found[1]
            result = function(*arguments, **keywords)
            size = sum(len(item) for item in arguments if isinstance(item, str))
            with lock:
                if key not in known:
                    known[key] = size, result
                    kept += size
                while len(known) > 1 and (len(known) > most or kept > room.characters):
                    kept -= known.popitem(last=False)[1][0]
            return result

        return asked

    return decorated
