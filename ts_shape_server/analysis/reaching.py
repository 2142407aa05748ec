"""Which files of a workspace a change of some reaches, by their imports as they are written.

A class is what its own file and the files below it say, and it is known by the files that use it: a change reaches the
files that import the changed one, over any number of steps, and those that it imports itself. Where it is not clear
which file an import means, each that it may mean is taken. Pure.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

Parts = tuple[str, ...]
"""The names of a module, the outermost first; those of a package are its folder's."""


@dataclass(frozen=True)
class Module:
    """A file as a module: its names below the workspace's folder, the modules that it may import, and its classes.
    `exact` are imports that name their place from that folder on, `loose` may start in any folder.
    """

    parts: Parts
    exact: frozenset[Parts] = frozenset()
    loose: frozenset[Parts] = frozenset()
    classes: frozenset[str] = frozenset()


def module(parts: Parts, text: str, package: bool) -> Module:
    """What a file says; with a syntax error, that it imports nothing. `package`: it is an ``__init__.py``."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Module(parts)
    exact: set[Parts] = set()
    loose: set[Parts] = set()
    classes: set[str] = set()
    folder = parts if package else parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            classes.add(node.name)
        elif isinstance(node, ast.Import):
            loose.update(named for alias in node.names for named in _prefixes(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            names = node.module.split(".") if node.module else []
            if node.level:
                names = [*folder[: max(0, len(folder) - node.level + 1)], *names]
            found = exact if node.level else loose
            found.update(_prefixes(names))
            found.update((*names, alias.name) for alias in node.names)
    return Module(parts, frozenset(exact), frozenset(loose), frozenset(classes))


def _prefixes(names: list[str]) -> Iterator[Parts]:
    return (tuple(names[:end]) for end in range(1, len(names) + 1))


def reached(changed: Collection[str], texts: Iterable[str], files: Mapping[str, Module]) -> set[str]:
    """Those of the files, by path, that a change of these reaches; `texts` are changed ones of another kind (documents,
    configurations), which reach the classes that they name.
    """
    by_end: dict[Parts, list[str]] = {}
    for path, item in files.items():
        by_end.setdefault(item.parts[-1:], []).append(path)
    imports = {path: _meant(item, files, by_end) for path, item in files.items()}
    users: dict[str, set[str]] = {}
    for path, found in imports.items():
        for other in found:
            users.setdefault(other, set()).add(path)
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    start = {path for path in changed if path in files}
    start |= {path for path, item in files.items() if item.classes & words}
    above = _closure(start, users)
    # What a changed file imports is known by how it uses it; a package passes on what it imports itself.
    through = {path: found for path, found in imports.items() if _is_package(path)}
    used = {other for path in start for other in imports[path]}
    return above | _closure(used, through)


def _is_package(path: str) -> bool:
    return path.replace("\\", "/").endswith("/__init__.py")


def _closure(start: Iterable[str], edges: Mapping[str, Collection[str]]) -> set[str]:
    found, waiting = set(start), deque(start)
    while waiting:
        for path in edges.get(waiting.popleft(), ()):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


def _meant(item: Module, files: Mapping[str, Module], by_end: Mapping[Parts, list[str]]) -> set[str]:
    """The files that a file may import; `by_end` has them by their last name."""
    found = {path for parts in item.exact for path in by_end.get(parts[-1:], ()) if files[path].parts == parts}
    for parts in item.loose:
        found.update(path for path in by_end.get(parts[-1:], ()) if files[path].parts[-len(parts) :] == parts)
    return found
