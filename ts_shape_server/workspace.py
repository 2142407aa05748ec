"""The files around a class: which folder they belong to, what the text says, and who calls the class.

Reads files, asks `resolve` where a base class comes from, and makes the requests that probing answers. Knows no LSP.
Everything here may block for as long as reading files and asking jedi takes: an event loop calls it in a thread, and a
lock keeps jedi to one question at a time.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import stat
import sys
import threading
import time
import tokenize
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ts_shape_server import reading
from ts_shape_server.analysis import documents, settings
from ts_shape_server.analysis.evidence import Candidates, calls_of, candidates, makers_of
from ts_shape_server.analysis.held import calls_of_held, held_modules
from ts_shape_server.analysis.instances import Standing
from ts_shape_server.analysis.modules import (
    BaseReference,
    FileClasses,
    ModuleClass,
    find_classes,
    module_classes,
)
from ts_shape_server.analysis.places import ClassPlace, Stored, stored_names
from ts_shape_server.analysis.script_uses import Purpose
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallEvidence, ClassAsked, ParentAsked, Pinned
from ts_shape_server.probing.service import ClassRequest, FileRequest
from ts_shape_server.purposes import purposes
from ts_shape_server.remembering import Room, remembered
from ts_shape_server.resolve import Definition, Resolver

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"})
_ROOT_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg")
_MOST_FILES = 3000
"""Of a workspace that are read for what they say of a class; those beside its file are read in any case."""
_MOST_DOCUMENTS = 60
_DEEPEST = 32
"""Folders inside of folders in which files are looked for."""
_MOST_EVIDENCE = 12
_MOST_SETTINGS = 3
"""Objects of settings that may be what a class is given."""
_LOOKED_AT = 48
"""Of so many calls those that tell inputs are taken first."""
_MOST_MAKERS = 3
"""Classes that make one, which are looked at for what they give to it."""
_MOST_PARENTS = 6
_PARENTS_DEPTH = 4
_KEPT = 64
_LISTING_SECONDS = 3.0
_ROOM = Room()


_ONE_QUESTION = threading.Lock()
"""jedi keeps what it has read for the whole process, and is not made for two at once."""

Purposes = Mapping[str, frozenset[Purpose]]
"""By class of a file, what the workspace uses it for."""
_NO_PURPOSES: Purposes = {}


@dataclass(frozen=True)
class Snapshot:
    """One file at one moment: its text, its classes, those of them that are modules, and what could not be read."""

    path: str
    source: SourceText
    classes: FileClasses
    modules: tuple[ModuleClass, ...]
    problems: tuple[str, ...] = ()

    def module(self, name: str) -> ModuleClass | None:
        return next((item for item in self.modules if item.name == name), None)

    def places(self, purposes: Purposes = _NO_PURPOSES) -> list[ClassPlace]:
        return [place_of(item, purposes.get(item.name, frozenset())) for item in self.modules]

    def stored(self) -> list[Stored]:
        return stored_names(self.source, self.classes.tree)


def place_of(item: ModuleClass, purposes: frozenset[Purpose] = frozenset()) -> ClassPlace:
    parameters = item.forward.parameters if item.forward is not None else ()
    return ClassPlace(
        name=item.name,
        name_range=item.name_range,
        parameters={each.name: (each.range, each.annotation) for each in parameters},
        ignore=item.pragmas.ignore,
        skip=item.pragmas.skip,
        problems=tuple(item.pragmas.problems),
        purposes=purposes,
        of_torch=item.held == "layer",
    )


class Workspace:
    """The folders of one session. `overlays` gives the texts of the open files by absolute path."""

    def __init__(
        self,
        folders: Sequence[str],
        overlays: Callable[[], Mapping[str, str]] = dict,
        environment: str | None = None,
    ) -> None:
        self.folders = tuple(os.path.normpath(folder) for folder in folders)
        self._overlays = overlays
        self._environment = environment
        self._resolver = Resolver(self.folders, environment, overlays)
        self._lock = _ONE_QUESTION
        self._snapshots: OrderedDict[tuple[str, str], Snapshot] = OrderedDict()
        self._texts: dict[str, tuple[float, int, str]] = {}
        self._listings: dict[str, tuple[float, list[str], list[str]]] = {}
        self._purposes: dict[str, tuple[int, Mapping[tuple[str, str], frozenset[Purpose]]]] = {}

    def use_environment(self, interpreter: str | None) -> None:
        """Follow base classes into the packages of this interpreter too. It is not run."""
        with self._lock:
            if interpreter != self._environment:
                self._environment = interpreter
                self._resolver = Resolver(self.folders, interpreter, self._overlays)
                self._snapshots.clear()

    def forget(self) -> None:
        """Files have changed on disk: ask about base classes anew."""
        with self._lock:
            self._resolver.forget()
            self._snapshots.clear()
            self._listings.clear()

    def reread(self) -> None:
        """An open file has changed: the base classes of the others are followed anew."""
        with self._lock:
            self._snapshots.clear()

    def root_of(self, path: str) -> str:
        """The innermost folder of the workspace around a file or folder; else the nearest that looks like a project,
        itself included and nothing that all users share; else the folder alone.
        """
        around = [folder for folder in self.folders if Path(path).is_relative_to(folder)]
        if around:
            return max(around, key=len)
        own = Path(path) if Path(path).is_dir() else Path(path).parent
        for folder in (own, *own.parents):
            if _is_shared(folder):
                break
            if any((folder / mark).exists() for mark in _ROOT_MARKS):
                return str(folder)
        return str(own)

    def is_inside(self, path: str) -> bool:
        """Whether a file is one of the workspace's own, and of none of its environments."""
        around = [Path(folder) for folder in self.folders if Path(path).is_relative_to(folder)]
        return any(
            all(_is_source(parent) for parent in Path(path).parents if parent != folder and folder in parent.parents)
            for folder in around
        )

    def text(self, path: str) -> str | None:
        """The text of a file as the editor has it, else as the disk has it; None when it cannot be read."""
        open_text = self._overlays().get(path)
        return open_text if open_text is not None else self._on_disk(path)

    def _on_disk(self, path: str) -> str | None:
        try:
            state = os.stat(path)  # noqa: PTH116  # one call for time and size, on thousands of files
            known = self._texts.get(path)
            if known is not None and known[:2] == (state.st_mtime, state.st_size):
                return known[2]
            text = decoded(reading.data(path))
        except (OSError, ValueError):
            return None
        self._texts[path] = (state.st_mtime, state.st_size, text)
        return text

    def quick(self, path: str, text: str) -> Snapshot:
        """What the text alone says: without jedi, bases from other files count as no module unless asked before."""
        known = self._snapshots.get((path, text))
        if known is not None:
            return known
        source = SourceText(text)
        classes, problems = find_classes(source)
        modules = (*module_classes(classes, lambda reference: False), *held_modules(source, classes))
        return Snapshot(path, source, classes, modules, problems)

    def snapshot(self, path: str, text: str) -> Snapshot:
        """The file with every base class followed, also into other files. May take tens of milliseconds."""
        with self._lock:
            known = self._snapshots.get((path, text))
            if known is None:
                source = SourceText(text)
                classes, problems = find_classes(source)

                def is_module(reference: BaseReference) -> bool:
                    return self._resolver.is_module(path, text, reference)

                modules = (*module_classes(classes, is_module), *held_modules(source, classes))
                known = Snapshot(path, source, classes, modules, problems)
                self._snapshots[(path, text)] = known
            self._snapshots.move_to_end((path, text))
            while len(self._snapshots) > _KEPT:
                self._snapshots.popitem(last=False)
            return known

    def definition(self, path: str, text: str, line: int, column: int) -> tuple[str, str] | None:
        """The file and class that the name at this place stands for, if it is a class or an instance of one."""
        with self._lock:
            found = self._resolver.definition(path, text, line, column)
        if found is None or not found.class_name:
            return None
        return found.path, found.class_name

    def request(self, snapshot: Snapshot, names: Iterable[str] | None = None) -> FileRequest:
        """The question to probing about these classes of a file, with all the evidence of the workspace."""
        wanted = snapshot.modules if names is None else [item for item in snapshot.modules if item.name in set(names)]
        root = self.root_of(snapshot.path)
        overlays = {path: text for path, text in self._overlays().items() if path.endswith(".py")}
        texts = list(self._around(snapshot, root, overlays)) if wanted else []
        _ROOM.for_texts(sum(len(text) for _, text in texts))
        classes = tuple(self._class_request(item, snapshot.path, texts) for item in wanted if not item.pragmas.skip)
        return FileRequest(snapshot.path, root, {**overlays, snapshot.path: snapshot.source.text}, classes)

    def _class_request(self, item: ModuleClass, path: str, texts: Sequence[tuple[str, str]]) -> ClassRequest:
        parents = () if item.held == "layer" else self._parents(item, path, texts)
        evidence = tuple(self._evidence(item, path, texts))
        asked = ClassAsked(item.name, item.line, _pinned(item), evidence, tuple(parent for parent, _ in parents))
        return ClassRequest(asked, item.digest, tuple(digest for _, digest in parents))

    def purposes(self, snapshot: Snapshot) -> Purposes:
        """Which classes of a file the workspace scripts, traces or exports, and which of the three."""
        root = self.root_of(snapshot.path)
        overlays = {path: text for path, text in self._overlays().items() if path.endswith(".py")}
        texts = sorted(set(self._around(snapshot, root, overlays)))
        state = hash(tuple(texts))
        known = self._purposes.get(root)
        if known is None or known[0] != state:
            with self._lock:
                known = self._purposes[root] = state, purposes(texts, _words, self._resolver.origin)
        found = known[1]
        return {
            item.name: found.get((snapshot.path, item.name))
            or found.get((snapshot.path, item.name.split(".")[0]), frozenset())
            for item in snapshot.modules
        }

    def _evidence(self, item: ModuleClass, path: str, texts: Sequence[tuple[str, str]]) -> list[CallEvidence]:
        """What the texts say of one class, up to a number of calls."""
        if item.held:
            own = next((text for place, text in texts if place == path), "")
            return [*calls_of_held(item.name, own, path)][:_MOST_EVIDENCE]
        last = item.name.rsplit(".", 1)[-1]
        target = Definition(path, item.line, item.name)
        names = frozenset({last}).union(*(_other_names(last, text) for _, text in texts))
        found: list[CallEvidence] = []
        for place, text in texts:
            if not any(_speaks_of(name, text) for name in names):
                continue
            with self._lock:
                standing = self._resolver.standing(place, text, _candidates(text, names), target)
            if standing.names or standing.paths:
                found += _calls(last, text, place, standing)
            if len(found) >= _LOOKED_AT:
                break
        found.sort(key=lambda each: each.inputs is None)
        return [*found[:_MOST_EVIDENCE], *self._settings(item, path, texts)]

    def _settings(self, item: ModuleClass, path: str, texts: Sequence[tuple[str, str]]) -> Iterator[CallEvidence]:
        """Objects of settings in the workspace that have all that a class reads of a parameter, the nearest first."""
        own = next((text for place, text in texts if place == path), "")
        for read in _settings_read(own, item.name):
            made = (
                evidence
                for place, text in texts
                if place.endswith(".py")
                for evidence in settings.made_in(read, SourceText(text), place, self.root_of(path))
            )
            yield from itertools.islice(made, _MOST_SETTINGS)

    def _parents(
        self, item: ModuleClass, path: str, texts: Sequence[tuple[str, str]]
    ) -> tuple[tuple[ParentAsked, str], ...]:
        """Classes whose runs may show what a class gets, the outermost first, each with its digest; those of its own
        file before others.
        """
        found: dict[tuple[str, str], tuple[ParentAsked, str]] = {}
        known = {path: text for path, text in texts if path.endswith(".py")}

        def add(about: ModuleClass, place: str, depth: int) -> None:
            makers = list(itertools.islice(self._makers(about, place, texts), _MOST_MAKERS))
            beside = [each for each in makers if each[0] == place and each != (place, about.name)]
            for where, name in beside or makers:
                key = (where, name)
                made = next((each for each in _classes_of(known[where]).classes if each.name == name), None)
                if key in found or made is None or made.pragmas.skip or (where, name) == (path, item.name):
                    continue
                parent = ParentAsked(where, name, _pinned(made))
                found[key] = parent, made.digest
                if depth < _PARENTS_DEPTH:
                    add(made, where, depth + 1)
                # What an outer class gives it is then known first.
                del found[key]
                found[key] = replace(parent, evidence=tuple(self._evidence(made, where, texts))), made.digest

        add(item, path, 1)
        return tuple(found.values())[-_MOST_PARENTS:]

    def _makers(self, item: ModuleClass, path: str, texts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """File and name of the classes in whose body a class is named."""
        last = item.name.rsplit(".", 1)[-1]
        target = Definition(path, item.line, item.name)
        for place, text in sorted(texts, key=lambda each: each[0] != path):
            if not place.endswith(".py") or not _speaks_of(last, text):
                continue
            with self._lock:
                standing = self._resolver.standing(place, text, _candidates(text, frozenset({last})), target)
            if standing.names or standing.paths:
                yield from ((place, name) for name in _makers(text, standing))

    def _around(self, snapshot: Snapshot, root: str, overlays: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """The texts that may say something of the classes of a file: its own, then the workspace's, nearest first, then
        what documents show.
        """
        yield snapshot.path, snapshot.source.text
        for path in self.files(root, near=snapshot.path):
            text = overlays[path] if path in overlays else self._on_disk(path)
            if text is not None and path != snapshot.path:
                yield path, text
        for path in self._listed(root)[1]:
            text = self._on_disk(path)
            if text is not None:
                yield from ((path, piece) for piece in _pieces(path, text))

    def files(self, root: str, near: str | None = None) -> list[str]:
        """The Python files of a folder that are read for evidence, without environments and hidden folders; those
        beside `near` first.
        """
        beside = os.path.dirname(near) if near is not None else root  # noqa: PTH120  # thousands of files at each key
        found = self._listed(root)[0]
        if near is not None and len(found) >= _MOST_FILES and near.startswith(os.path.join(root, "")):  # noqa: PTH118  # thousands of files
            found = [*{*found, *_beside(near)}]
        return sorted(found, key=lambda path: (os.path.dirname(path) != beside, path))  # noqa: PTH120  # thousands of files

    def _listed(self, root: str) -> tuple[list[str], list[str]]:
        """The Python files of a folder, and the documents: those that introduce it first."""
        known = self._listings.get(root)
        if known is None or time.monotonic() - known[0] > _LISTING_SECONDS:
            every = list(_walked(root, _MOST_FILES))
            sources = [path for path in every if path.endswith(".py")]
            others = [path for path in every if not path.endswith(".py")]
            others.sort(key=lambda path: (not os.path.basename(path).lower().startswith("readme"), path))  # noqa: PTH119  # thousands of files
            known = self._listings[root] = (time.monotonic(), sources, others[:_MOST_DOCUMENTS])
        return known[1], known[2]


def _is_shared(folder: Path) -> bool:
    """Whether anybody may put files into a folder, like the one for temporary files."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)


def every_source(folder: str) -> list[str]:
    """All Python files of a folder, without environments and hidden folders, those right in it first."""
    every = (path for path in _walked(folder, sys.maxsize) if path.endswith(".py"))
    return sorted(every, key=lambda path: (os.path.dirname(path) != folder, path))  # noqa: PTH120  # thousands of files


def _beside(path: str) -> list[str]:
    """The Python files in the folder of a file."""
    folder = os.path.dirname(path)  # noqa: PTH120  # thousands of files
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".py")]  # noqa: PTH118, PTH208  # thousands of files
    except OSError:
        return []


def _walked(root: str, most: int) -> Iterator[str]:
    found, above = 0, root.count(os.sep)
    for folder, folders, names in os.walk(root):
        # Python 3.11 recurses here: folders nested without end are not followed to theirs.
        deep = folder.count(os.sep) - above >= _DEEPEST
        folders[:] = () if deep else sorted(name for name in folders if _is_source(Path(folder, name)))
        for name in sorted(names):
            if name.endswith((".py", *documents.NAMES)):
                found += name.endswith(".py")
                yield os.path.join(folder, name)  # noqa: PTH118  # thousands of files
        if found >= most:
            return


_NAMED_ANEW = re.compile(r"\b(\w+)\s+as\s+(\w+)|^(\w+)\s*=\s*[\w.]*\b(\w+)\s*$", re.MULTILINE)


def _speaks_of(name: str, text: str) -> bool:
    return name in _words(text)


def _other_names(name: str, text: str) -> frozenset[str]:
    """The names under which a text passes a class on: ``import Net as Model``, ``Model = Net``."""
    return _named_anew(text).get(name, frozenset())


# Read once for a text, of which at most one changes with a key: a file of thousands of classes asks for each of them.


@remembered(_ROOM, 4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


@remembered(_ROOM, 4096)
def _named_anew(text: str) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for imported, alias, assigned, value in _NAMED_ANEW.findall(text):
        found.setdefault(imported or value, set()).add(alias or assigned)
    return {name: frozenset(others) for name, others in found.items()}


@remembered(_ROOM, 4096)
def _candidates(text: str, names: frozenset[str]) -> Candidates:
    return candidates(SourceText(text), names)


@remembered(_ROOM, 1024)
def _settings_read(text: str, name: str) -> tuple[settings.SettingsRead, ...]:
    return settings.read_by(SourceText(text), name)


@remembered(_ROOM, 64)
def _pieces(path: str, text: str) -> tuple[str, ...]:
    return documents.pieces(path, text)


@remembered(_ROOM, 4096)
def _makers(text: str, standing: Standing) -> tuple[str, ...]:
    return makers_of(SourceText(text), standing)


@remembered(_ROOM, 256)
def _classes_of(text: str) -> FileClasses:
    return find_classes(SourceText(text))[0]


@remembered(_ROOM, 4096)
def _calls(name: str, text: str, path: str, standing: Standing) -> tuple[CallEvidence, ...]:
    found = calls_of(name, SourceText(text), path, standing)
    if not path.endswith(".py"):
        # What a document shows may be long outdated.
        found = tuple(replace(item, certain="") for item in found)
    return found


def _pinned(item: ModuleClass) -> Pinned:
    return Pinned(dict(item.pragmas.init), dict(item.pragmas.inputs))


def decoded(data: bytes) -> str:
    """The text of a Python file by its mark or its declared encoding; what does not fit that is replaced."""
    return data.decode(encoding_of(data), "replace")


def encoding_of(data: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except (SyntaxError, LookupError):
        return "utf-8"


def _is_source(folder: Path) -> bool:
    name = folder.name
    if name.startswith(".") or name in _LEFT_OUT or name.endswith(".egg-info"):
        return False
    return not (folder / "pyvenv.cfg").exists()
