"""Names in the contract: of sizes, parameters, classes, functions and layers; and texts of one line.

Some of them are written into a person's source, so that what is no such name is refused.
"""

from __future__ import annotations

import re
from typing import Annotated

from ts_shape_server.contract.schema import text

MAXIMUM_LENGTH = 1000
"""Characters of a name or a line."""
_QUALIFIED = re.compile(r"(?:[^\W\d]\w*|<\w+>)(?:\.(?:\w+|<\w+>))*")
_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def is_parameter(name: str) -> bool:
    """Whether a text names a parameter: an identifier, with its stars."""
    return name.isidentifier() or (name[:1] == "*" and name.lstrip("*").isidentifier() and not name.startswith("***"))


def is_qualified(name: str) -> bool:
    """Whether a text names a class or a function as ``__qualname__`` does; the empty one names none."""
    return not name or name.isidentifier() or _QUALIFIED.fullmatch(name) is not None


def is_line(name: str) -> bool:
    """Whether a text stands on one line."""
    return name.isidentifier() or _BREAKS.search(name) is None


Name = Annotated[str, text(MAXIMUM_LENGTH, str.isidentifier, "is no name")]
ParameterName = Annotated[str, text(MAXIMUM_LENGTH, is_parameter, "is no name of a parameter")]
QualifiedName = Annotated[str, text(MAXIMUM_LENGTH, is_qualified, "is no qualified name")]
Line = Annotated[str, text(MAXIMUM_LENGTH, is_line, "is more than one line")]
"""Also the name of a layer: a container takes any text for a key."""
