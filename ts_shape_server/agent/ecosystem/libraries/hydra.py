"""hydra: what `@hydra.main` passes to a function is composed from the files that its decorator names.

The call of a class in that function, as in `Net(cfg.model)`, gives the constructor's arguments.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem.libraries import omegaconf
from ts_shape_server.agent.infer.facts.source import function_tree

_MARK = "_ts_shape_configuration"


def _main(module: Any) -> None:
    usual = module.main

    def main(*arguments: Any, **keywords: Any) -> Any:
        decorate = usual(*arguments, **keywords)
        places = dict(zip(("config_path", "config_name"), arguments))

        def decorated(function: Any) -> Any:
            made = decorate(function)
            setattr(made, _MARK, (function, {**places, **keywords}))
            return made

        return decorated

    module.main = main


def configured(parameter: Any, cls: type, namespace: Mapping[str, Any]) -> tuple[str, str] | None:
    """The argument that the file's own `@hydra.main` gives to the class."""
    for value in list(namespace.values()):
        marked = getattr(value, _MARK, None) if callable(value) else None
        if isinstance(marked, tuple):
            found = _passed(parameter, cls, marked[0], marked[1], namespace)
            if found is not None:
                return found, _label(*marked)
    return None


def _label(function: Any, decorated: Mapping[str, Any]) -> str:
    """The file that a configuration comes from; the decorator where that is none of its own."""
    file = str(decorated.get("config_name")).removesuffix(".yaml") + ".yaml"
    folder = os.path.join(os.path.dirname(function.__code__.co_filename), str(decorated.get("config_path") or ""))
    return file if os.path.isfile(os.path.join(folder, file)) else "@hydra.main"


def _passed(
    parameter: Any, cls: type, function: Any, decorated: Mapping[str, Any], namespace: Mapping[str, Any]
) -> str | None:
    tree = function_tree(function)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree is not None else []
    call = next((node for node in calls if getattr(node.func, "id", "") == cls.__name__), None)
    if tree is None or call is None or not tree.args.args:
        return None
    names = list(inspect.signature(cls).parameters)
    given: dict[str | None, ast.expr] = dict(zip(names, call.args))
    given.update({item.arg: item.value for item in call.keywords})
    expression = given.get(parameter.name)
    spread = next((item.value for item in call.keywords if item.arg is None), None)
    if expression is None and spread is not None:
        expression = ast.Subscript(spread, ast.Constant(parameter.name), ast.Load())
    if expression is None:
        return None
    configuration = _composed(function, decorated)
    local = {**namespace, tree.args.args[0].arg: configuration}
    value = eval(compile(ast.fix_missing_locations(ast.Expression(expression)), "<hydra>", "eval"), local)
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    return omegaconf.spelled(value, namespace)


def _composed(function: Any, decorated: Mapping[str, Any]) -> Any:
    """The configuration as the library composes it, from the files beside the function's own."""
    hydra: Any = sys.modules["hydra"]
    file = os.path.abspath(function.__code__.co_filename)
    folder = os.path.join(os.path.dirname(file), decorated.get("config_path") or ".")
    importlib.import_module("hydra.core.global_hydra").GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(os.path.normpath(folder), version_base=None):
        return hydra.compose(decorated.get("config_name"))


ADAPTED: Mapping[str, Callable[[Any], None]] = {"hydra": _main}
