"""Constructor arguments that name a file: its place, where the author's working directory is not the probe's.

``cfg="small.yaml"`` means the file beside the source, or the one of that name in the workspace. Reads names only.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Iterator, Mapping

from ts_shape_server.agent.context import Context

_CONFIG_FILE = re.compile(r"^[\w./\\ -]+\.(ya?ml|json|toml|cfg|ini|txt|csv)$", re.IGNORECASE)
MOST_FOLDERS = 400
DEEPEST = 32
"""Folders inside of folders."""


def placed(cls: type, init: Mapping[str, str], context: Context) -> dict[str, str]:
    """`init` with the files that it, or a default of the constructor, names by their full paths."""
    result = dict(init)
    for name, text in (*_defaults(cls, init), *init.items()):
        named = _named(text)
        found = None if named is None else _place(named, context)
        if found is not None:
            result[name] = repr(found)
    return result


def _defaults(cls: type, init: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]  # read, not called
    except (TypeError, ValueError):
        return
    for parameter in parameters:
        if isinstance(parameter.default, str) and parameter.name not in init:
            yield parameter.name, repr(parameter.default)


def _named(text: str) -> str | None:
    """The file that an expression names literally."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str) and _CONFIG_FILE.match(value) else None


def _place(name: str, context: Context) -> str | None:
    """Where a file is that is not in the working directory: by its path from the source or the workspace, then by its
    name, if one file of the workspace has it.
    """
    if os.path.isabs(name):
        return None
    folder = os.path.dirname(context.path)
    for start in (folder, context.root):
        place = os.path.join(start, name)
        if os.path.isfile(place):
            return place
    found = [place for place in _walked(context.root, os.path.basename(name)) if place.endswith(os.path.normpath(name))]
    beside = [place for place in found if place.startswith(os.path.join(folder, ""))]
    if len(beside) == 1 or len(found) == 1:
        return (beside or found)[0]
    return None


def _walked(root: str, name: str) -> Iterator[str]:
    for number, (folder, folders, names) in enumerate(os.walk(root) if root else ()):
        deep = folder.count(os.sep) - root.count(os.sep) >= DEEPEST
        folders[:] = () if deep else sorted(item for item in folders if not item.startswith("."))
        if name in names:
            yield os.path.join(folder, name)
        if number >= MOST_FOLDERS:
            return
