"""No module but `torch_says` reads the text of an error: rules that need it ask for complaints.

The check follows, within a module, what is made of an error's text, into names and into the parameters of the module's
own functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

AGENT = Path(__file__).parents[2] / "ts_shape_server" / "agent"
ELSEWHERE = ("torch_says",)
PATTERNS = {"search", "match", "fullmatch", "findall", "finditer", "split", "sub"}
LOOKS = {"startswith", "endswith", "find", "index", "count", "partition", "rpartition", "split", "removeprefix"}
KEEPS = {"strip", "rstrip", "lstrip", "lower", "upper", "splitlines", "replace", "encode"}
"""Methods of a text that give a text (or its lines), which is the error's still."""


class Module:
    """The names and parameters of a module that hold an error, or its text."""

    def __init__(self, text: str) -> None:
        self.tree = ast.parse(text)
        self.scopes = [node for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.Module))]
        self.errors: dict[ast.AST, set[str]] = {scope: set(_caught(scope)) for scope in self.scopes}
        self.texts: dict[ast.AST, set[str]] = {scope: set() for scope in self.scopes}
        while self._spread():
            pass

    def looked_at(self) -> Iterator[tuple[int, str]]:
        """Lines in which the text of an error is searched or compared."""
        for scope in self.scopes:
            for node in _own(scope):
                if self._looks(node, scope):
                    yield node.lineno, ast.unparse(node)

    def _looks(self, node: ast.AST, scope: ast.AST) -> bool:
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn, ast.Eq, ast.NotEq)):
            return any(self._is_text(side, scope) for side in node.comparators)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        if node.func.attr in LOOKS and self._is_text(node.func.value, scope):
            return True
        return node.func.attr in PATTERNS and any(self._is_text(item, scope) for item in node.args)

    def _spread(self) -> bool:
        """One round over assignments and calls; whether it found a name that was not known."""
        before = sum(map(len, (*self.errors.values(), *self.texts.values())))
        functions = {scope.name: scope for scope in self.scopes if isinstance(scope, ast.FunctionDef)}
        for scope in self.scopes:
            for node in _own(scope):
                if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    names = {item.id for item in targets if isinstance(item, ast.Name)}
                    self.texts[scope] |= names if self._is_text(node.value, scope) else set()
                    self.errors[scope] |= names if self._is_error(node.value, scope) else set()
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
                    self._pass(node, scope, functions[node.func.id])
        return before != sum(map(len, (*self.errors.values(), *self.texts.values())))

    def _pass(self, call: ast.Call, scope: ast.AST, function: ast.FunctionDef) -> None:
        names = [item.arg for item in function.args.args]
        passed = [*zip(names, call.args, strict=False), *((item.arg or "", item.value) for item in call.keywords)]
        for name, value in passed:
            self.texts[function] |= {name} if self._is_text(value, scope) else set()
            self.errors[function] |= {name} if self._is_error(value, scope) else set()

    def _is_error(self, node: ast.expr, scope: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.errors[scope]
        return isinstance(node, ast.Attribute) and node.attr in ("error", "__cause__", "__context__")

    def _is_text(self, node: ast.expr, scope: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.texts[scope]
        if isinstance(node, ast.Subscript):
            return self._is_text(node.value, scope)
        if isinstance(node, ast.JoinedStr):
            return any(
                isinstance(item, ast.FormattedValue) and self._is_error(item.value, scope) for item in node.values
            )
        if isinstance(node, ast.BoolOp):
            return any(self._is_text(item, scope) for item in node.values)
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr in KEEPS:
            return self._is_text(node.func.value, scope)
        told = isinstance(node.func, ast.Name) and node.func.id in ("str", "repr")
        told = told or (isinstance(node.func, ast.Attribute) and node.func.attr == "one_line")
        return told and any(self._is_error(item, scope) for item in node.args)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of the functions in it."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, ast.FunctionDef):
            yield from _own(node)


def _caught(scope: ast.AST) -> Iterator[str]:
    for node in _own(scope):
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
    if isinstance(scope, ast.FunctionDef):
        for argument in (*scope.args.args, *scope.args.kwonlyargs):
            annotation = ast.unparse(argument.annotation) if argument.annotation is not None else ""
            if any(word in annotation for word in ("Exception", "Error")):
                yield argument.arg


def _modules() -> list[Path]:
    return [path for path in sorted(AGENT.rglob("*.py")) if path.relative_to(AGENT).parts[0] not in ELSEWHERE]


def test_no_module_reads_what_torch_and_python_say() -> None:
    found = [
        f"{path.name}:{line}: {text}" for path in _modules() for line, text in Module(path.read_text()).looked_at()
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    run()\nexcept Exception as error:\n    known = 'out of range' in str(error)\n",
        "def hopeless(error: BaseException):\n    text = str(error)[:200]\n    return _BEYOND.search(text)\n",
        "def hopeless(outcome):\n    return re.search('x', f'{outcome.error}')\n",
        "def rank(text):\n    return text.startswith('x')\n\ndef of(error: OSError):\n    return rank(str(error))\n",
        'def name(error: NameError):\n    return str(error).split("\'")[1]\n',
        "def detail(outcome):\n    told = torch_says.one_line(outcome.error)\n    return 'TypeError' in told\n",
    ],
)
def test_a_text_that_is_looked_at_is_found(text: str) -> None:
    assert list(Module(text).looked_at())


@pytest.mark.parametrize(
    "text",
    [
        "def told(error: Exception):\n    lines = str(error).strip().splitlines()\n    return lines[0]\n",
        "def hopeless(error: Exception):\n    return 'missing-name' in torch_says.read(error)\n",
        "def same(first, second):\n    return first.error is second.error\n",
    ],
)
def test_a_text_that_is_only_told_is_none(text: str) -> None:
    assert not list(Module(text).looked_at())
