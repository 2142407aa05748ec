"""No module looks into a message or a title of ours: kinds, ids and facts decide, the words are for people.

The check finds comparisons, slices, searches and groupings of an attribute that holds words (`failure.message`,
`fix.title`), also through a local name that it was given to, a parameter of such a name, and what keeps it a text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "ts_shape_server"
WORDS = {"message", "title", "titles", "why", "advice", "hint"}
LOOKS = {"startswith", "endswith", "find", "rfind", "index", "count", "partition", "rpartition", "split", "rsplit"}
LOOKS |= {"removeprefix", "removesuffix", "splitlines", "replace"}
KEEPS = {"strip", "rstrip", "lstrip", "lower", "upper", "casefold", "capitalize"}
PATTERNS = {"search", "match", "fullmatch", "findall", "finditer", "split", "sub"}
GROUPS = {"add", "setdefault"}
"""Methods of a collection that ask whether a text is in it."""
KEBAB = re.compile(r"[a-z]+(-[a-z]+)*")

ALLOWED = {
    ("cli/formats.py", "item.message.split()"): "printed on one line",
    ("cli/formats.py", "related.message.split()"): "printed on one line",
    ("agent/script/exporting.py", "message[:1]"): "a sentence begins with a capital letter",
    ("agent/script/exporting.py", "message[1:]"): "a sentence begins with a capital letter",
    ("probing/service.py", "message[:1]"): "a sentence begins with a capital letter",
    ("probing/service.py", "message[1:]"): "a sentence begins with a capital letter",
    ("lsp/session.py", "message not in self._warned"): "a person is told the same sentence once",
    ("lsp/session.py", "self._warned.add(message)"): "a person is told the same sentence once",
}
"""Places that make words ready for people, each with its reason."""


def looks(text: str) -> Iterator[tuple[int, str]]:
    """Lines in which words are compared, sliced or searched."""
    tree = ast.parse(text)
    for scope in (
        tree,
        *(node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))),
    ):
        nodes = list(_own(scope))
        names = set(_parameters(scope))
        while True:
            more = {name for node in nodes for name in _named(node, names)}
            if more <= names:
                break
            names |= more
        for node in nodes:
            if _looks(node, names):
                yield node.lineno, ast.unparse(node)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of the functions in it."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _own(node)


def _parameters(scope: ast.AST) -> Iterator[str]:
    """Parameters that are texts by their annotation and words by their name."""
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for item in (*scope.args.args, *scope.args.kwonlyargs):
            if item.arg in WORDS and item.annotation is not None and ast.unparse(item.annotation) == "str":
                yield item.arg


def _named(node: ast.AST, names: set[str]) -> Iterator[str]:
    """Names that a statement or a loop gives words to."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if _is_words(node.value, names):
            yield from (item.id for item in targets if isinstance(item, ast.Name))
    looped = isinstance(node, (ast.For, ast.comprehension)) and _is_words(node.iter, names)
    if looped and isinstance(node.target, ast.Name):
        yield node.target.id


def _looks(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        # Whether there are words at all is the same in every wording.
        empty = any(isinstance(side, ast.Constant) and side.value in (None, "") for side in sides)
        return not empty and any(_is_words(side, names) for side in sides)
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load) and _is_words(node.value, names)
    if isinstance(node, (ast.Dict, ast.DictComp)):
        keys = node.keys if isinstance(node, ast.Dict) else [node.key]
        return any(key is not None and _is_words(key, names) for key in keys)
    if isinstance(node, ast.SetComp):
        return _is_words(node.elt, names)
    return isinstance(node, ast.Call) and _calls(node, names)


def _calls(node: ast.Call, names: set[str]) -> bool:
    """Whether a call searches words or groups by them."""
    function = node.func
    if isinstance(function, ast.Name) and function.id in ("set", "frozenset", "Counter"):
        given = [item.elt if isinstance(item, ast.GeneratorExp) else item for item in node.args]
        return any(_is_words(item, names) for item in given)
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr in GROUPS and any(_is_words(item, names) for item in node.args[:1]):
        return True
    if function.attr in LOOKS and _is_words(function.value, names):
        return True
    return function.attr in PATTERNS and any(_is_words(item, names) for item in node.args)


def _is_words(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in WORDS
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Subscript):
        return _is_words(node.value, names)
    if isinstance(node, (ast.Tuple, ast.BoolOp)):
        return any(_is_words(item, names) for item in (node.elts if isinstance(node, ast.Tuple) else node.values))
    if isinstance(node, ast.IfExp):
        return _is_words(node.body, names) or _is_words(node.orelse, names)
    if isinstance(node, ast.Call):
        kept = isinstance(node.func, ast.Attribute) and node.func.attr in KEEPS | LOOKS
        return kept and _is_words(node.func.value, names)
    return False


def found() -> dict[tuple[str, str], int]:
    """Every place of the package, with its line."""
    return {
        (path.relative_to(PACKAGE).as_posix(), code): line
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, code in looks(path.read_text(encoding="utf-8"))
    }


def test_no_module_looks_into_our_own_words() -> None:
    assert {place: line for place, line in found().items() if place not in ALLOWED} == {}


def test_what_is_allowed_is_there() -> None:
    assert ALLOWED.keys() <= found().keys()


@pytest.mark.parametrize(
    "text",
    [
        "def helps(fix, failure):\n    return (failure.code, failure.message) in fix.resolves\n",
        "def once(found):\n    return list({item.title: item for item in found}.values())\n",
        "def refused(offer):\n    return offer.title.endswith('refuses')\n",
        "def same(found, fix):\n    return [item for item in found if item.title == fix.title]\n",
        "def parameter(message: str):\n    return message.split('`')[1]\n",
        "def clause(kind):\n    told = kind.message.strip()\n    return told.partition(': ')[0]\n",
        "def known(failure):\n    return re.search('not found', failure.message)\n",
        "def gone(before, after):\n    return {item.message for item in before} - {item.message for item in after}\n",
        "def first(done):\n    for title in done.titles:\n        if 'Annotate' in title:\n            return title\n",
        "def grouped(found):\n    for item in found:\n        known.setdefault(item.message, []).append(item)\n",
    ],
)
def test_words_that_are_looked_into_are_found(text: str) -> None:
    assert list(looks(text))


@pytest.mark.parametrize(
    "text",
    [
        "def told(failure):\n    print(f'{failure.code}: {failure.message}')\n",
        "def one(fix, other):\n    return fix.identity == other.identity\n",
        "def any_words(failure):\n    return failure.message != '' and failure.hint is not None\n",
        "def read(message):\n    return message['id']\n",
        "def listed(done):\n    return ', '.join(done.titles)\n",
    ],
)
def test_words_that_are_only_told_are_none(text: str) -> None:
    assert not list(looks(text))


def _rewrites() -> Iterator[tuple[str, ast.expr]]:
    """The first argument of each rewrite that the package makes, with its place."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rewrite":
                yield f"{path.name}:{node.lineno}", node.args[0]


def test_every_rewrite_has_an_id_that_is_no_sentence() -> None:
    made = dict(_rewrites())
    assert made
    for place, first in made.items():
        assert isinstance(first, ast.Constant), place
        assert KEBAB.fullmatch(str(first.value)), place
