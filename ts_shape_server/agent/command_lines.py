"""Command lines that nobody types: `argparse` parsers give their defaults instead of ending the program.

Knows nothing of what the values are for.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

ByName = Callable[[str], str]
"""The expression that the name of an argument suggests."""


@contextlib.contextmanager
def empty(by_name: ByName) -> Iterator[None]:
    """While in it, parsers that are given nothing to parse give their defaults, and for what has none the first choice,
    a number that `by_name` suggests, or None.
    """
    original = argparse.ArgumentParser.parse_known_args

    def defaults(self: argparse.ArgumentParser, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        if not args:
            for action in self._actions:
                _ask_nothing(action, by_name)
        return original(self, args, namespace)

    argparse.ArgumentParser.parse_known_args = defaults  # type: ignore[method-assign,assignment]  # put back below
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_known_args = original  # type: ignore[method-assign]  # as it was


def _ask_nothing(action: argparse.Action, by_name: ByName) -> None:
    positional = not action.option_strings and action.nargs not in (argparse.OPTIONAL, argparse.ZERO_OR_MORE)
    if (action.required or positional) and action.default is None:
        action.default = _guessed(action, by_name)
    action.required = False
    if action.option_strings or isinstance(action, argparse._SubParsersAction):
        return
    if action.nargs is None or action.nargs == argparse.ONE_OR_MORE:
        # A positional argument is optional by the number of values that it takes, not by a flag.
        action.nargs = argparse.OPTIONAL if action.nargs is None else argparse.ZERO_OR_MORE


def _guessed(action: argparse.Action, by_name: ByName) -> Any:
    """A value for an argument that nobody gives: the first choice, or a number such as its name suggests."""
    single = action.nargs is None
    if action.choices and single:
        return next(iter(action.choices), None)
    if action.type not in (int, float) or not single:
        return None
    try:
        value = ast.literal_eval(by_name(action.dest))
    except (SyntaxError, ValueError):
        return None
    return action.type(value) if isinstance(value, (int, float)) else None
