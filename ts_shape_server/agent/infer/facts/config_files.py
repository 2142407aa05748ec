"""Constructor arguments that a configuration file of the workspace writes for a class that it names by its import path.

Read are YAML, JSON and TOML, and the ways in which they are written: ``target: package.module.Net`` with ``params``,
``class_path`` with ``init_args`` (jsonargparse), ``_target_`` with the arguments beside it (hydra), ``class`` with
``params`` (old hydra). A path is followed from the folders around the file that has it: what only has the same last
name is no evidence. A plain name, as in ``dict(type="Net", ...)`` of a Python file, counts where the class is
registered under it. Values are literals; a part that names another class stays the mapping that it is, but for hydra's,
which is an object. A file that names no class may be the settings that a class reads, if it has all of them. Builds
nothing.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from torch import nn

from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.facts import registered
from ts_shape_server.agent.infer.facts.evidence import Drawn
from ts_shape_server.agent.infer.facts.uses import Use, required, uses_of
from ts_shape_server.agent.infer.guesses import portable

SUFFIXES = (".yaml", ".yml", ".json", ".toml")
LEAST_READ = 3
LARGEST = 1 << 16
"""Bytes of a configuration file."""
MOST_FOLDERS, MOST_FILES = 400, 400
DEEPEST = 12
"""Mappings inside of mappings."""
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist", "wandb", "runs"})
_HYDRA = "_target_"
_NAMED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("target", ("params",)),
    ("class_path", ("init_args",)),
    ("class", ("params",)),
    (_HYDRA, ()),
)
"""Keys under which a class is named, and those of its arguments: for hydra, they stand beside the name."""
_PLAIN_NAMES = ("type", "name", "_name_", "model_name", "arch")
"""Keys under which a class may stand by the name that it is registered under."""
_BELOW_PLAIN = ("params", "args", "kwargs", "init_args")
_DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")
_INTERPOLATION = re.compile(r"\$\{")
_MISSING = "???"
"""What hydra's files have in the place of a value that has to be given."""
_FLOAT = re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+)[eE][-+]?\d+$")
"""Real numbers that YAML 1.1 takes for text, as 4.5e-6; libraries of configurations do not."""


_consulted: set[str] = set()


@dataclass(frozen=True)
class _Place:
    """One mapping that names a class: the path or name that stands there, the arguments, and how deep in the file it
    is.
    """

    dotted: str
    arguments: Mapping[str, Any]
    depth: int


_Found = tuple[int, int, str, dict[str, str]]
"""Arguments, with how deep in the file they stand, how far from the class, and the file."""


def find(cls: type, context: Context) -> list[Drawn]:
    """The arguments of each configuration file that names `cls`, those at the top of a file before nested ones, and
    those of files nearby before others. Where none does, what files say of a base class, of parameters that both have.
    """
    names = registered.names(cls, context.source)
    suffixes = (*SUFFIXES, ".py") if names else SUFFIXES
    documents = [(path, text) for path in _files(context.root, suffixes) for text in [_text(path)] if text is not None]
    for kind in cls.__mro__:
        if kind is nn.Module or kind.__module__.split(".")[0] == "torch":
            return []
        # Only what may end an import path is read: a file may have thousands of lines, and a class a common name.
        ends_path = re.compile(rf"\.{re.escape(kind.__name__)}(?!\w)")
        named = [(path, text) for path, text in documents if ends_path.search(text)]
        source = context.path if kind is cls else _source(kind)
        found = _of_class(cls, kind, named, source, context) if source else []
        found = found or (_of_name(cls, names, documents, context) if kind is cls else [])
        if found:
            return found
    return []


def with_keys(cls: type, context: Context) -> list[Drawn]:
    """Settings of the files that name no class and have all that `cls` reads of a parameter, those nearby first: they
    say less than any call. Fewer than `LEAST_READ` names are in many files.
    """
    found: list[_Found] = []
    for name, use in uses_of(cls).items():
        read = (use.attributes or use.keys) - set(dir(dict)) - set(dir(str))
        if len(read) < LEAST_READ or (use.attributes and use.keys) or use.called or use.indexed:
            continue
        for path in _files(context.root, SUFFIXES):
            text = _text(path) or ""
            if not all(word in text for word in read):
                continue
            for depth, settings in _mappings(_parsed(path, text)):
                plain = settings if read <= settings.keys() else {}
                try:
                    resolved = _resolved(plain, plain) if plain else {}
                except _Unknown:
                    continue
                expression = _with_attributes(resolved) if use.attributes else portable.literal(resolved)
                if resolved and expression is not None and len(expression) <= portable.MAXIMUM_LENGTH:
                    found.append((depth, _distance(path, context.path), path, {name: expression}))
                    _consulted.add(path)
    return [replace(item, kind="settings") for item in _ordered(found, context)]


def _mappings(node: Any, depth: int = 0) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The mappings of a document whose keys are texts, with how deep each is."""
    if depth <= DEEPEST and isinstance(node, Mapping):
        if all(isinstance(key, str) for key in node):
            yield depth, node
        for value in node.values():
            yield from _mappings(value, depth + 1)


def _of_class(cls: type, kind: type, files: Sequence[tuple[str, str]], source: str, context: Context) -> list[Drawn]:
    """What the files say of `kind`, which is `cls` or a base of it."""
    found: list[_Found] = []
    for path, text in files:
        document = _parsed(path, text)
        for place in _places(document):
            if place.dotted.rpartition(".")[2] == kind.__name__ and _names(place.dotted, path, kind, source, context):
                init = _init(cls, kind, place.arguments, document, context)
                if init:
                    found.append((place.depth, _distance(path, source), path, init))
                    _consulted.add(path)
    return _ordered(found, context)


def _of_name(cls: type, names: frozenset[str], files: Sequence[tuple[str, str]], context: Context) -> list[Drawn]:
    """What the files say of the class under a name by which it is registered: in its file, or in a table."""
    found: list[_Found] = []
    whole = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(names or {cls.__name__})))
    named = [(path, text) for path, text in files if whole.search(text)]
    if not names and (not named or not registered.in_table(cls, context.root)):
        return []
    for path, text in named:
        document = _parsed(path, text)
        for place in _plain_places(document):
            known = place.dotted in names or (place.dotted == cls.__name__ and registered.in_table(cls, context.root))
            if known and all(item.name in place.arguments for item in required(cls)):
                init = _init(cls, cls, place.arguments, document, context)
                if init:
                    found.append((place.depth, _distance(path, context.path), path, init))
                    _consulted.add(path)
    return _ordered(found, context)


def _ordered(found: Sequence[_Found], context: Context) -> list[Drawn]:
    label = {path: os.path.relpath(path, context.root).replace(os.sep, "/") for _, _, path, _ in found}
    ordered = sorted(found, key=lambda item: item[:3])
    return [Drawn(label[path], "config", path, 1, init, None) for _, _, path, init in ordered]


def consulted() -> list[str]:
    """The files that have said something in this process."""
    return sorted(_consulted)


def _source(kind: type) -> str:
    try:
        return inspect.getsourcefile(kind) or ""
    except TypeError:
        return ""


def _files(root: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    number = 0
    for count, (folder, folders, names) in enumerate(os.walk(root) if root else ()):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_OUT)
        for name in sorted(names):
            if name.endswith(suffixes):
                number += 1
                yield os.path.join(folder, name)
        if count >= MOST_FOLDERS or number >= MOST_FILES:
            return


def _text(path: str) -> str | None:
    try:
        if os.path.getsize(path) > LARGEST:
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=64)
def _parsed(path: str, text: str) -> Any:
    """What a file holds; None where it cannot be read."""
    try:
        if path.endswith(".py"):
            return registered.literals(text)
        if path.endswith(".json"):
            return json.loads(text)
        return importlib.import_module("tomllib").loads(text) if path.endswith(".toml") else _yaml(text)
    except Exception:
        # A template, a tag of a library's own, a package or a Python that is too old: it says nothing then.
        return None


def _yaml(text: str) -> Any:
    yaml = importlib.import_module("yaml")

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the package is the user's
        """Reads real numbers as libraries of configurations do."""

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
    return yaml.load(text, Loader)


def _places(node: Any, depth: int = 0) -> Iterator[_Place]:
    if depth > DEEPEST:
        return
    if isinstance(node, Mapping):
        for key, arguments in _NAMED:
            dotted = node.get(key)
            if isinstance(dotted, str) and _DOTTED.match(dotted):
                yield _Place(dotted, _beside(node) if key == _HYDRA else _below(node, arguments), depth)
        for value in node.values():
            yield from _places(value, depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _places(value, depth + 1)


def _plain_places(node: Any, depth: int = 0) -> Iterator[_Place]:
    if depth > DEEPEST:
        return
    if isinstance(node, Mapping):
        for key in _PLAIN_NAMES:
            if isinstance(node.get(key), str):
                below = any(isinstance(node.get(each), Mapping) for each in _BELOW_PLAIN)
                beside = {str(name): value for name, value in node.items() if name != key}
                yield _Place(node[key], _below(node, _BELOW_PLAIN) if below else beside, depth)
    for value in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _plain_places(value, depth + 1)


def _beside(node: Mapping[Any, Any]) -> Mapping[str, Any]:
    """hydra's arguments: what is beside the name, without the keys that are hydra's own."""
    return {str(key): value for key, value in node.items() if not str(key).startswith("_")}


def _below(node: Mapping[Any, Any], keys: tuple[str, ...]) -> Mapping[str, Any]:
    below: Mapping[Any, Any] = next((node[key] for key in keys if isinstance(node.get(key), Mapping)), {})
    return {str(key): value for key, value in below.items()}


def _names(dotted: str, file: str, cls: type, source: str, context: Context) -> bool:
    """Whether an import path that stands in `file` is that of `cls`, also through a package that passes it on."""
    module, _, _ = dotted.rpartition(".")
    relative = module.replace(".", os.sep)
    for folder in _around(file, context.root):
        start = os.path.join(folder, relative)
        if os.path.isfile(start + ".py"):
            return _is_same(start + ".py", source)
        if os.path.isfile(os.path.join(start, "__init__.py")):
            return _passed_on(dotted, cls, source)
    # Of a folder that is put on the path, such as `src`.
    return os.path.splitext(source)[0].endswith(os.sep + relative) and module == cls.__module__


def _is_same(file: str, source: str) -> bool:
    """Whether two paths are those of one file; no file has the path of one that was not saved yet."""
    try:
        return os.path.samefile(file, source)
    except OSError:
        return False


def _around(file: str, root: str) -> Iterator[str]:
    """The folders from that of a file up to the workspace's."""
    folder = os.path.dirname(file)
    while True:
        yield folder
        above = os.path.dirname(folder)
        if os.path.normpath(folder) == os.path.normpath(root) or above == folder:
            return
        folder = above


def _passed_on(dotted: str, cls: type, source: str) -> bool:
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        same = getattr(found, "__qualname__", "") == cls.__qualname__
        return found is cls or (same and os.path.samefile(_source(found), source))
    except Exception:
        return False


def _init(
    cls: type, kind: type, arguments: Mapping[str, Any], document: Any, context: Context
) -> dict[str, str] | None:
    """Expressions for the arguments that can be told; None where the constructor does not take such names."""
    try:
        if kind is not cls:
            inspect.signature(kind).bind_partial(**arguments)
            own = inspect.signature(cls).parameters
            passes_on = any(item.kind is item.VAR_KEYWORD for item in own.values())
            arguments = {name: value for name, value in arguments.items() if passes_on or name in own}
        inspect.signature(cls).bind_partial(**arguments)
    except (TypeError, ValueError):
        return None
    uses = uses_of(cls)
    spelled = {name: _value(value, document, context, uses.get(name)) for name, value in arguments.items()}
    return {name: text for name, text in spelled.items() if text is not None}


class _Unknown(Exception):
    """A part whose value the file does not have."""


def _value(value: Any, document: Any, context: Context, use: Use | None) -> str | None:
    """The expression for a value; None where it cannot be told from the file."""
    try:
        resolved = _resolved(value, document)
        if _holds_hydra(resolved):
            return _objects(resolved, context)
    except _Unknown:
        return None
    if isinstance(resolved, Mapping) and use is not None and use.attributes.difference(dir(dict)):
        return _with_attributes(resolved)
    return portable.literal(resolved)


def _resolved(value: Any, document: Any, depth: int = 0) -> Any:
    """The value with interpolations followed in the same document. Raises `_Unknown`."""
    if depth > DEEPEST:
        raise _Unknown
    if isinstance(value, Mapping):
        return {key: _resolved(item, document, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, document, depth + 1) for item in value]
    if value == _MISSING:
        raise _Unknown
    if not isinstance(value, str) or _INTERPOLATION.search(value) is None:
        return value
    whole = re.fullmatch(r"\$\{([\w.]+)\}", value)
    if whole is None:
        raise _Unknown
    current = document
    for part in whole.group(1).split("."):
        if not isinstance(current, Mapping) or part not in current:
            raise _Unknown
        current = current[part]
    return _resolved(current, document, depth + 1)


def _holds_hydra(value: Any) -> bool:
    if isinstance(value, Mapping):
        return _HYDRA in value or any(map(_holds_hydra, value.values()))
    return isinstance(value, list) and any(map(_holds_hydra, value))


def _objects(value: Any, context: Context) -> str:
    """The expression for a value in which hydra's mappings are calls of what they name. Raises `_Unknown`."""
    if isinstance(value, list):
        return f"[{', '.join(_objects(item, context) for item in value)}]"
    if not isinstance(value, Mapping):
        text = portable.literal(value)
        if text is None:
            raise _Unknown
        return text
    if _HYDRA not in value:
        return "{" + ", ".join(f"{key!r}: {_objects(item, context)}" for key, item in value.items()) + "}"
    if "_args_" in value:
        raise _Unknown
    called = _callable(str(value[_HYDRA]), context)
    arguments = [f"{key}={_objects(item, context)}" for key, item in _beside(value).items()]
    if value.get("_partial_"):
        return f"__import__('functools').partial({', '.join([called, *arguments])})"
    return f"{called}({', '.join(arguments)})"


def _callable(dotted: str, context: Context) -> str:
    """A spelling of what an import path names. Raises `_Unknown`."""
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception:
        raise _Unknown from None
    text = portable.by_name(found, context.namespace)
    if text is None:
        raise _Unknown
    return text


def _with_attributes(value: Mapping[str, Any]) -> str | None:
    """A configuration that is read by attributes: one of omegaconf where that is installed, else an object."""
    plain = portable.literal(value)
    if plain is None:
        return None
    try:
        importlib.import_module("omegaconf")
    except Exception:
        return _namespace(value)
    return f"__import__('omegaconf').OmegaConf.create({plain})"


def _namespace(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = (f"{key}={_namespace(item)}" for key, item in value.items() if str(key).isidentifier())
        return f"{portable.SIMPLE_NAMESPACE}{', '.join(inner)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_namespace, value))}]"
    return repr(value)


def _distance(file: str, source: str) -> int:
    """How many folders are between two files."""
    steps = os.path.relpath(os.path.dirname(file), os.path.dirname(source)).split(os.sep)
    return sum(step != "." for step in steps)
