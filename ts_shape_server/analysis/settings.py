"""Objects of settings that a file makes, for a class that is given one: the arguments of a command line, an instance of
a class whose fields have defaults, a dict.

Which object is meant is known by what the class reads of it: all of that must be there, and it must be more than a few
names. A parameter whose annotation names a class is not asked about, since that says it. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ts_shape_server.analysis import slicing
from ts_shape_server.analysis.modules import parse
from ts_shape_server.analysis.program import Program, Step, Way
from ts_shape_server.analysis.scopes import FUNCTIONS, last_part
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallArguments, CallEvidence

LEAST = 3
"""So many settings a class has to read: fewer are in many objects."""
_PLAIN = frozenset({"Any", "object", "dict", "Dict", "Namespace", "argparse.Namespace"})
_DICT_METHODS = frozenset(dir(dict))


@dataclass(frozen=True)
class SettingsRead:
    """What a class reads of one parameter of its constructor: attributes, or keys."""

    parameter: str
    attributes: frozenset[str]
    keys: frozenset[str]


@dataclass(frozen=True)
class _Maker:
    """An expression for an object of settings at the end of a way, and what the object has."""

    expression: ast.expr
    way: Way
    line: int
    names: frozenset[str]
    by_key: bool
    imported: str = ""
    """The name under which it can be imported from the file instead."""


def read_by(source: SourceText, class_name: str) -> tuple[SettingsRead, ...]:
    """The parameters of the constructor of a class at the top of a file that are read like settings."""
    tree, _ = parse(source)
    node = next((item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == class_name), None)
    function = (
        next((item for item in node.body if isinstance(item, FUNCTIONS) and item.name == "__init__"), None)
        if node
        else None
    )
    if node is None or function is None:
        return ()
    required = function.args.args[1 : len(function.args.args) - len(function.args.defaults)]
    found: list[SettingsRead] = []
    for parameter in required:
        annotation = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
        if annotation and annotation not in _PLAIN:
            continue
        read = _read(node, function, parameter.arg)
        if max(len(read.attributes), len(read.keys)) >= LEAST and not (read.attributes and read.keys):
            found.append(read)
    return tuple(found)


def _read(node: ast.ClassDef, function: ast.AST, name: str) -> SettingsRead:
    stored = {
        target.attr
        for item in ast.walk(function)
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Name) and item.value.id == name
        for target in item.targets
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
    }
    attributes, keys, written = set[str](), set[str](), set[str]()
    for root in node.body:
        for item in _unconditional(root):
            own = isinstance(item, (ast.Attribute, ast.Subscript)) and _is(item.value, name, stored, root is function)
            if own and isinstance(item, ast.Attribute):
                (attributes if isinstance(item.ctx, ast.Load) else written).add(item.attr)
            elif own and isinstance(item, ast.Subscript) and isinstance(item.slice, ast.Constant):
                keys |= {item.slice.value} if isinstance(item.slice.value, str) else set()
    return SettingsRead(name, frozenset(attributes - written - _DICT_METHODS), frozenset(keys))


def _unconditional(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement without those of branches: what is read there may be none of the object's."""
    yield node
    for field, value in ast.iter_fields(node):
        if isinstance(node, (ast.If, ast.IfExp)) and field in ("body", "orelse"):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _unconditional(item)


def _is(node: ast.expr, name: str, stored: set[str], in_constructor: bool) -> bool:
    if isinstance(node, ast.Name):
        return in_constructor and node.id == name
    of_self = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return of_self and isinstance(node, ast.Attribute) and node.attr in stored


def speaks(text: str) -> bool:
    """Whether a file may make settings at all, at a glance."""
    return "add_argument(" in text or re.search(r"^class \w|^\w+ *= *(\{|dict\()", text, re.MULTILINE) is not None


def made_in(read: SettingsRead, source: SourceText, path: str, root: str) -> Iterator[CallEvidence]:
    """The objects of a file that have all that is read."""
    names = read.attributes or read.keys
    for maker in _makers(source.text):
        if maker.by_key is bool(read.attributes) or not names <= maker.names:
            continue
        if maker.imported:
            module = _module(path, root)
            setup = f"from {module} import {maker.imported}" if module else None
        else:
            cut = slicing.backward(maker_program(source.text), [slicing.Need(maker.way, [maker.expression])])
            setup = None if cut is None else cut.setup
        if setup is not None:
            text = ast.unparse(maker.expression)
            file = re.split(r"[/\\]", path)[-1]
            what = text if maker.imported else "arguments" if not maker.by_key else text
            yield CallEvidence(
                "settings", path, maker.line, setup, CallArguments((), ((read.parameter, text),)), None,
                f"{what} {file}:{maker.line}",
            )  # fmt: skip


def _module(path: str, root: str) -> str | None:
    """The name under which a file is imported from the workspace's folder."""
    inside = path[len(root) :] if path.startswith(root) else ""
    parts = re.split(r"[/\\]", inside.rpartition(".")[0].strip("/\\"))
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


@lru_cache(maxsize=64)
def maker_program(text: str) -> Program:
    """The statements of a file, read once."""
    return Program(parse(SourceText(text))[0])


@lru_cache(maxsize=1024)
def _makers(text: str) -> tuple[_Maker, ...]:
    if not speaks(text):
        return ()
    program = maker_program(text)
    found = [*_parsers(program), *_records(program), *_dicts(program)]
    return tuple(found)


def _parsers(program: Program) -> Iterator[_Maker]:
    """What ``parse_args`` gives, at the end of the block that calls it."""
    calls = [site.call for site in program.calls]
    names = frozenset(name for call in calls for name in _destination(call))
    if not names:
        return
    for site in program.calls:
        statement = site.way[-1].body[site.way[-1].index]
        if not isinstance(statement, ast.Assign) or statement.value is not site.call:
            continue
        target = statement.targets[0]
        if last_part(site.call.func) == "parse_args" and isinstance(target, ast.Name):
            last = site.way[-1]
            way = (*site.way[:-1], Step(last.owner, last.body, _end(last, target.id)))
            yield _Maker(ast.Name(target.id, ast.Load()), way, statement.lineno, names, False)


def _end(step: Step, name: str) -> int:
    """The place in a block of the first statement that makes something of the settings as a whole, else of the last."""
    for place in range(step.index + 1, len(step.body)):
        calls = [node for node in ast.walk(step.body[place]) if isinstance(node, ast.Call)]
        for call in calls:
            passed = [*call.args, *(item.value for item in call.keywords)]
            whole = any(isinstance(item, ast.Name) and item.id == name for item in passed)
            if whole and last_part(call.func)[:1].isupper():
                return place
    return len(step.body) - 1


def _destination(call: ast.Call) -> Iterator[str]:
    """The name that an ``add_argument`` gives to its value."""
    if last_part(call.func) != "add_argument":
        return
    named = next((item.value for item in call.keywords if item.arg == "dest"), None)
    if isinstance(named, ast.Constant):
        yield str(named.value)
        return
    flags = [item.value for item in call.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    chosen = next((flag for flag in flags if flag.startswith("--")), flags[0] if flags else "")
    yield from [chosen.lstrip("-").replace("-", "_")] if chosen else []


def _records(program: Program) -> Iterator[_Maker]:
    """Classes at the top whose instances take nothing and have fields."""
    for statement in program.module:
        if not isinstance(statement, ast.ClassDef):
            continue
        fields = _fields(statement)
        if len(fields) >= LEAST:
            call = ast.Call(ast.Name(statement.name, ast.Load()), [], [])
            yield _Maker(call, (), statement.lineno, frozenset(fields), False, statement.name)


def _fields(node: ast.ClassDef) -> set[str]:
    """The fields with a value of a class that takes nothing; empty for one that needs something."""
    found: set[str] = set()
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if item.value is None:
                return set()
            found.add(item.target.id)
        elif isinstance(item, ast.Assign):
            found |= {target.id for target in item.targets if isinstance(target, ast.Name)}
        elif isinstance(item, FUNCTIONS) and item.name == "__init__":
            if len(item.args.args) - len(item.args.defaults) > 1 or any(
                default is None for default in item.args.kw_defaults
            ):
                return set()
            found |= {
                each.attr
                for each in ast.walk(item)
                if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
                and isinstance(each.value, ast.Name) and each.value.id == "self"
            }  # fmt: skip
        elif isinstance(item, FUNCTIONS) and item.name == "forward":
            return set()
    return found


def _dicts(program: Program) -> Iterator[_Maker]:
    """Dicts at the top with texts as keys."""
    for statement in program.module:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        keys = _keys(statement.value) if isinstance(statement, ast.Assign) else frozenset[str]()
        if isinstance(target, ast.Name) and len(keys) >= LEAST:
            way = program.way_of[id(statement)]
            last = way[-1]
            after = (*way[:-1], Step(last.owner, last.body, len(last.body) - 1))
            yield _Maker(ast.Name(target.id, ast.Load()), after, statement.lineno, keys, True)


def _keys(node: ast.expr) -> frozenset[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return frozenset(item.arg for item in node.keywords if item.arg is not None)
    if isinstance(node, ast.Dict):
        return frozenset(key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
    return frozenset()
