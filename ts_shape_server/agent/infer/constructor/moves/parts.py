"""Other expressions for one part of a constructor argument: an attribute of a config, the value of a key.

A part that the failing line names is treated as an argument of that name would be.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.agent.infer.constructor import configs
from ts_shape_server.agent.infer.constructor.arguments import Plan
from ts_shape_server.agent.infer.constructor.moves import kinds
from ts_shape_server.agent.infer.constructor.moves.move import Refusal, plan_move

LONGEST = 6000
"""Characters of an expression that is taken apart."""


@plan_move
def part_of_config(refusal: Refusal) -> Iterator[Plan]:
    """What a config holds is changed as an argument of that name is: a text is taken apart, a list is gone through.

    before: cfg="__import__('types').SimpleNamespace(loss=16)"
    line: for item in cfg.loss.split('+'):
    says: AttributeError: 'int' object has no attribute 'split'
    after: cfg="__import__('types').SimpleNamespace(loss='relu')"
    """
    for name in refusal.open_names:
        expression = refusal.plan[name]
        if not (configs.is_config(expression) or expression.startswith("{")) or len(expression) > LONGEST:
            continue
        for number, (part, value) in enumerate(_parts(ast.parse(expression, mode="eval"))):
            if part in refusal.blamed:
                for other in _others(part, ast.unparse(value), refusal):
                    yield refusal.changed(name, _with(expression, number, other))


def _others(part: str, value: str, refusal: Refusal) -> Iterator[str]:
    for move in kinds.ALL:
        for plan in move.for_argument(refusal.about(part, value), part):
            yield plan[part]


def _parts(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The attributes and keys of a config with their values, those of configs that it holds too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((item.arg, item.value) for item in node.keywords if item.arg is not None)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


def _with(expression: str, number: int, other: str) -> str:
    """The expression with another value for the part of that number."""
    tree = ast.parse(expression, mode="eval")
    wanted = [value for _, value in _parts(tree)][number]

    class Replaced(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return ast.parse(other, mode="eval").body if node is wanted else self.generic_visit(node)

    return ast.unparse(Replaced().visit(tree))


ALL = (part_of_config,)
