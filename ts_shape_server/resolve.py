"""Where a base class comes from, and which class a name stands for: by following imports through files, and by jedi
where the text does not tell.

Following an import reads a file or two and takes milliseconds. jedi takes tens of milliseconds a question, on torch
seconds; callers ask in the background. Nothing is imported and no interpreter is started (`InterpreterEnvironment`).
"""

from __future__ import annotations

import ast
import builtins
import logging
import os
import re
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ts_shape_server import reading
from ts_shape_server.analysis.evidence import Candidates
from ts_shape_server.analysis.holders import dotted_at, held_at
from ts_shape_server.analysis.instances import Standing
from ts_shape_server.analysis.modules import (
    BaseReference,
    FileClasses,
    find_classes,
    is_module_class,
    known_module,
    resolve_name,
)
from ts_shape_server.analysis.text import SourceText

log = logging.getLogger(__name__)

DEPTH = 24
"""How many imports and base classes a chain may have."""
_FILES = 512
_LARGEST_OF_JEDI = 4 << 20
"""Bytes: stubs of packages are larger than what people write."""
_CALLED = re.compile(r"[\w.]+(?=\()")
_MODULE = ("torch", "nn", "modules", "module.py")
_RELATIVE = re.compile(r"(\.+)(.*)")


@dataclass(frozen=True)
class Definition:
    """Where a class is: file, line from 1, qualified name (as far as nesting shows; the last part is sure)."""

    path: str
    line: int
    class_name: str


@dataclass(frozen=True)
class _Found:
    """A class in a file, something in a file that is no class (empty `name`), or a class that its path alone makes a
    module (`known`), wherever its file is.
    """

    path: str
    name: str
    known: str = ""


class Resolver:
    """Answers for one set of workspace folders. `environment` is an interpreter whose packages are searched too;
    `overlays` gives the texts of files that differ from the disk, by absolute path.
    """

    def __init__(
        self,
        folders: Sequence[str],
        environment: str | None = None,
        overlays: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._packages = _site_packages(environment)
        self._overlays = overlays
        self._files: OrderedDict[str, tuple[object, FileClasses]] = OrderedDict()
        self._jedi = _Jedi(folders, self._packages)

    def is_module(self, path: str, text: str, reference: BaseReference) -> bool:
        """Whether a base class is an `nn.Module`, followed through files and installed packages. False if unknown."""
        return self._is_module(path, text, reference, 0)

    def definition(self, path: str, text: str, line: int, column: int) -> Definition | None:
        """The module class that the name at a position stands for: the class itself, or that of the instance it
        holds.
        """
        source = SourceText(text)
        classes = find_classes(source)[0]
        name = dotted_at(source, classes.tree, line, column)
        if name is None:
            return None
        found = self._member(path, name.split("."), 0, classes)
        if found is None or not (found.name or found.known):
            held = held_at(source, classes, line, column)
            if held is None:
                return None
            found = self._member(path, held.name.split("."), 0, classes)
            if not held.is_class and self._is_own(path, found):
                found = next(self._asked("infer", path, text, line, column), None)
        if found is not None and found.known:
            found = self._below(self._roots(path), found.known.split("."), 0, False)
        if found is None or not found.name or not self._is_module_at(found, 0):
            return None
        there = classes if found.path == path else self._classes(found.path)
        item = next((item for item in there.classes if item.name == found.name), None) if there is not None else None
        return None if item is None else Definition(found.path, item.line, item.name)

    def standing(self, path: str, text: str, candidates: Candidates, target: Definition) -> Standing:
        """Which of the candidates of a file stand for the class `target`.

        1. What Python would look up: the file's own classes, its imports, the files that these lead to.
        2. A module that nothing on the path gives, where the class's own file is one of that name: in doubt.
        3. jedi, for names that the text does not settle: in doubt.
        """
        own = self._classes(path) if path.endswith(".py") else find_classes(SourceText(text))[0]
        if own is None:
            return Standing(frozenset())
        names: set[str] = set()
        doubtful: set[str] = set()
        for name, (line, column) in candidates.names.items():
            found = self._member(path, name.split("."), 0, own)
            if found is not None and (found.name or found.known):
                if _is_same(found, target):
                    names.add(name)
                continue
            if found is not None and not self._is_own(path, found):
                continue
            resolved = resolve_name(name, own.imports)
            if self._leads_to(resolved, target) or (
                resolved != name
                and any(_is_same(item, target) for item in self._asked("goto", path, text, line, column))
            ):
                names.add(name)
                doubtful.add(name)
        paths = {item for item in candidates.paths if self._is_path_of(path, item, target)}
        return Standing(frozenset(names), frozenset(paths), frozenset(doubtful))

    def _is_path_of(self, path: str, imported: str, target: Definition) -> bool:
        found = self._follow(path, imported, 0)
        if found is not None and (found.name or found.known):
            return _is_same(found, target)
        return self._leads_to(imported, target)

    def _leads_to(self, resolved: str, target: Definition) -> bool:
        """Whether an import that nothing on the path gives leads to a class from one of the folders around its file."""
        parts = resolved.split(".")
        if len(parts) < 2 or not parts[0]:
            return False
        parents = Path(target.path).parents
        around = [folder for folder in parents if any(folder.is_relative_to(top) for top in self._folders)]
        found = self._below(around, parts, 0, False)
        return found is not None and _is_same(found, target)

    def origin(self, path: str, text: str, name: str) -> tuple[str, str] | None:
        """The file of the workspace and the name there (of a class, function or value) that a dotted name of a file
        stands for. Without jedi.
        """
        own = self._classes(path) if path.endswith(".py") else find_classes(SourceText(text))[0]
        if own is None:
            return None
        first, _, _ = name.partition(".")
        found = self._member(path, name.split("."), 0, own)
        if found is None:
            return None if first in own.imports else (path, first)
        if found.known or not self._is_own(path, found):
            return None
        return found.path, found.name or name.rsplit(".", 1)[-1]

    def forget(self) -> None:
        """Forget what jedi said: files have changed. What is read from files is checked against them each time."""
        self._jedi.forget()

    def _is_module(self, path: str, text: str, reference: BaseReference, depth: int) -> bool:
        if depth > DEPTH:
            return False
        name = reference.resolved
        if name is not None:
            if "." not in name and hasattr(builtins, name):
                return False
            found = self._follow(path, name, depth) or self._from_stars(path, name, depth)
            if found is None:
                return False
            if found.known or found.name:
                return self._is_module_at(found, depth)
        else:
            called = _CALLED.match(reference.expression)
            own = self._classes(path)
            found = None if called is None or own is None else self._member(path, called[0].split("."), depth, own)
        if not self._is_own(path, found):
            return False
        answers = self._asked("goto" if name is not None else "infer", path, text, *_end(reference))
        return any(self._is_module_at(found, depth) for found in answers)

    def _is_module_at(self, found: _Found, depth: int) -> bool:
        if found.known or (found.name == "Module" and Path(found.path).parts[-4:] == _MODULE):
            return True
        classes = self._classes(found.path)
        if classes is None:
            return False

        def ask(base: BaseReference) -> bool:
            return self._is_module(found.path, self._text(found.path) or "", base, depth + 1)

        return is_module_class(classes, found.name, ask)

    def _follow(self, path: str, name: str, depth: int) -> _Found | None:
        """What an imported dotted name stands for; None if the file or package that it comes from is not there."""
        if known_module(name):
            return _Found("", "", name)
        relative = _RELATIVE.match(name)
        if relative is None:
            return self._below(self._roots(path), name.split("."), depth, False)
        folder = Path(path).parent
        for _ in relative.group(1)[1:]:
            folder = folder.parent
        return self._below([folder], [part for part in relative.group(2).split(".") if part], depth, True)

    def _from_stars(self, path: str, name: str, depth: int) -> _Found | None:
        classes = self._classes(path)
        return None if classes is None else self._through_stars(path, name.split("."), depth, classes)

    def _below(self, roots: Sequence[Path], parts: Sequence[str], depth: int, package: bool) -> _Found | None:
        """The member that `parts` lead to: the longest part of them that is a file is the module."""
        if depth > DEPTH:
            return None
        for count in range(len(parts), -1 if package else 0, -1):
            for root in roots:
                file = _file(root.joinpath(*parts[:count]))
                if file is None:
                    continue
                rest = parts[count:]
                if not rest:
                    return _Found(file, "")
                classes = self._classes(file)
                found = None if classes is None else self._member(file, rest, depth + 1, classes)
                return found or _Found(file, "")
        return None

    def _member(self, path: str, parts: Sequence[str], depth: int, classes: FileClasses) -> _Found | None:
        """What a dotted name means in the namespace of a file."""
        name = ".".join(parts)
        if any(item.name == name for item in classes.classes):
            return _Found(path, name)
        if depth > DEPTH:
            return None
        if parts[0] in classes.imports:
            return self._follow(path, resolve_name(name, classes.imports), depth + 1)
        target = classes.aliases.get(parts[0], parts[0])
        if target == parts[0]:
            return self._through_stars(path, parts, depth, classes)
        followed = resolve_name(name, classes.aliases)
        if any(item.name == target.split(".")[0] for item in classes.classes):
            return self._member(path, followed.split("."), depth + 1, classes)
        return self._follow(path, followed, depth + 1)

    def _through_stars(self, path: str, parts: Sequence[str], depth: int, classes: FileClasses) -> _Found | None:
        for star in classes.stars:
            joint = "" if star.endswith(".") else "."
            found = self._follow(path, f"{star}{joint}{'.'.join(parts)}", depth + 1)
            if found is not None and (found.name or found.known):
                return found
        return None

    def _roots(self, path: str) -> list[Path]:
        """Where imports of a file look: its package's folder, its own, the workspace, the packages."""
        parent = Path(path).parent
        top = parent
        while (top / "__init__.py").is_file() and top != top.parent:
            top = top.parent
        own = [top, parent, *(folder / inner for folder in self._folders for inner in ("", "src"))]
        packages = self._packages or [Path(folder) for folder in sys.path if folder]
        return list(dict.fromkeys([*own, *packages]))

    def _is_own(self, path: str, found: _Found | None) -> bool:
        """Whether something is of the workspace's own code: what packages give is not worth jedi's time."""
        folders = [*self._folders, Path(path).parent]
        if found is None:
            return True
        inside = any(Path(found.path).is_relative_to(folder) for folder in folders)
        return inside and not any(Path(found.path).is_relative_to(folder) for folder in self._packages)

    def _asked(self, question: str, path: str, text: str, line: int, column: int) -> Iterator[_Found]:
        for file, name, number in self._jedi.classes(question, path, text, line, column):
            classes = self._classes(file)
            for item in classes.classes if classes is not None else ():
                if item.name.rsplit(".", 1)[-1] == name and (number is None or item.line == number):
                    yield _Found(file, item.name)

    def _text(self, path: str) -> str | None:
        text = self._overlays().get(path)
        if text is not None:
            return text
        try:
            return reading.text(path)
        except OSError:
            return None

    def _classes(self, path: str) -> FileClasses | None:
        """The classes of a file as it is now, without its tree."""
        overlay = self._overlays().get(path)
        state: object = overlay
        if overlay is None:
            try:
                found = Path(path).stat()
            except (OSError, ValueError):
                return None
            state = (found.st_mtime_ns, found.st_size)
        known = self._files.get(path)
        if known is None or known[0] != state:
            text = self._text(path)
            if text is None:
                return None
            known = state, replace(find_classes(SourceText(text))[0], tree=ast.Module([], []))
            self._files[path] = known
        self._files.move_to_end(path)
        while len(self._files) > _FILES:
            self._files.popitem(last=False)
        return known[1]


def _is_same(found: _Found, target: Definition) -> bool:
    return found.name == target.class_name and (
        found.path == target.path or os.path.realpath(found.path) == os.path.realpath(target.path)
    )


def _end(reference: BaseReference) -> tuple[int, int]:
    """The position of a base's last name."""
    span = reference.range
    return span.end_line, max(span.end_column - 1, 0)


def _file(module: Path) -> str | None:
    """The source of a module or package. Stubs are left out: what has no source is no `nn.Module`."""
    beside = [module.with_name(f"{module.name}.py")] if module.name else []
    return next((str(file) for file in (module / "__init__.py", *beside) if file.is_file()), None)


def _site_packages(interpreter: str | None) -> list[Path]:
    """The package folders beside an interpreter, found by their place: the interpreter is not run. Those that ``.pth``
    files name, as editable installs do, are among them.
    """
    if not interpreter:
        return []
    root = Path(interpreter).parent.parent
    folders = [*sorted(root.glob("lib/python3*/site-packages")), *sorted(root.glob("Lib/site-packages"))]
    added: list[Path] = []
    for folder in folders:
        for file in sorted(folder.glob("*.pth")):
            try:
                lines = reading.text(file).splitlines()
            except OSError:
                continue
            named = [Path(folder, line.strip()) for line in lines if line.strip() and not line.startswith("import")]
            added += [path for path in named if path.is_dir()]
    return [*folders, *added]


class _Jedi:
    """Questions to jedi. It is imported with the first one: most sessions never ask any."""

    def __init__(self, folders: Sequence[str], packages: Sequence[Path]) -> None:
        self._folders = list(folders)
        self._packages = [str(folder) for folder in packages]
        self._project: Any = None
        self._environment: Any = None
        self._answers: dict[tuple[str, str, int, int, str], list[tuple[str, str, int | None]]] = {}

    def forget(self) -> None:
        self._answers.clear()

    def classes(self, question: str, path: str, text: str, line: int, column: int) -> list[tuple[str, str, int | None]]:
        """File, name and line of the classes that a position leads to; none where jedi fails on the code."""
        key = (question, path, line, column, text)
        if key not in self._answers:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # jedi warns of each compiled module that it may not import
                    self._answers[key] = list(self._ask(question, path, text, line, column))
            except Exception as error:
                log.debug("jedi at %s:%d: %r", path, line, error)
                self._answers[key] = []
        return self._answers[key]

    def _ask(
        self, question: str, path: str, text: str, line: int, column: int
    ) -> Iterator[tuple[str, str, int | None]]:
        import jedi

        if self._project is None:
            root = self._folders[0] if self._folders else "."
            added = [*self._folders[1:], *(self._packages or (folder for folder in sys.path if folder))]
            self._project = jedi.Project(root, added_sys_path=added, load_unsafe_extensions=False)
            self._environment = _without_packages()
            _read_plain_files_alone()
        script = jedi.Script(code=text, path=path, project=self._project, environment=self._environment)
        if question == "goto":
            names = script.goto(line, column, follow_imports=True, follow_builtin_imports=False)
        else:
            names = script.infer(line, column)
        for name in names:
            if name.type in ("class", "instance") and name.module_path is not None:
                yield str(name.module_path), name.name, name.line


def _read_plain_files_alone() -> None:
    """From here on jedi reads no device or pipe that a workspace passes off as a source, and no scripts in `bin`."""
    from jedi.api import project
    from parso import file_io

    def read(file: Any) -> bytes:
        return reading.data(file.path, _LARGEST_OF_JEDI)

    file_io.FileIO.read = read  # type: ignore[method-assign]  # jedi offers no other way
    project.discover_buildout_paths = lambda *_: ()


def _without_packages() -> Any:
    """This interpreter as jedi's environment, with the standard library alone.

    jedi imports compiled modules from an environment's own paths into this process: torch, if its paths were there.
    """
    from jedi.api.environment import InterpreterEnvironment

    class Environment(InterpreterEnvironment):  # type: ignore[misc]  # jedi has no types
        def get_sys_path(self) -> list[str]:
            own = [path for path in sys.path if path and Path(path).is_relative_to(sys.base_prefix)]
            return [path for path in own if not path.endswith(("site-packages", "dist-packages"))]

    return Environment()
