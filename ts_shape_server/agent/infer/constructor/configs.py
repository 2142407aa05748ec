"""Stand-ins for config objects, as expressions: nested `SimpleNamespace` calls that grow an attribute at a time.

An error names the attribute that is missing, the failing line names its owner. Works on the text of expressions alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.guesses.portable import SIMPLE_NAMESPACE

_PLAIN = frozenset({"SimpleNamespace", "int", "float", "str", "bool", "NoneType", "list", "tuple", "Identity"})


def is_config(expression: str) -> bool:
    """Whether an expression is a stand-in for a config."""
    return expression.startswith(SIMPLE_NAMESPACE)


def missing_attribute(error: BaseException) -> str | None:
    """The attribute that an error misses on an object that may be a config's part."""
    missed = torch_says.read(error).get("missing-attribute") if isinstance(error, AttributeError) else None
    return missed.name("name") if missed is not None and missed.name("owner") in _PLAIN else None


def grown(expression: str, attribute: str, line: str, value_of: Callable[[str], str]) -> Iterator[str]:
    """`expression` with the attribute added where the failing line looks for it. `value_of` guesses by name."""
    tree = ast.parse(expression, mode="eval")
    for path in _owners(line, attribute):
        added = _added(ast.parse(expression, mode="eval").body, path, attribute, value_of(attribute))
        if added is not None and added != ast.unparse(tree):
            yield added


def _owners(line: str, attribute: str) -> Iterator[list[str]]:
    """Attribute paths, from a config down, at which the line may look for the attribute: longer ones first."""
    chains = [match.split(".") for match in re.findall(rf"([\w.]+)\.{attribute}\b", line)]
    seen: list[list[str]] = []
    for chain in chains:
        for start in range(1, len(chain) + 1):
            path = chain[start:]
            if path not in seen:
                seen.append(path)
    yield from sorted(seen, key=len, reverse=True)
    if [] not in seen:
        yield []


def _added(node: ast.expr, path: list[str], attribute: str, value: str) -> str | None:
    """The expression with the attribute at the end of the path; None if the path leads nowhere."""
    current = node
    for step in path:
        if not isinstance(current, ast.Call):
            return None
        keyword = next((item for item in current.keywords if item.arg == step), None)
        if keyword is None:
            return None
        if not (isinstance(keyword.value, ast.Call) and "SimpleNamespace" in ast.unparse(keyword.value.func)):
            keyword.value = ast.parse(f"{SIMPLE_NAMESPACE})", mode="eval").body
        current = keyword.value
    if not isinstance(current, ast.Call) or any(item.arg == attribute for item in current.keywords):
        return None
    current.keywords.append(ast.keyword(attribute, ast.parse(value, mode="eval").body))
    return ast.unparse(node)
