"""An agent with some layers of the sandbox switched off, to see that it is these that stop an attack.

A program takes the place of the interpreter: it runs the real agent in the real interpreter, with the functions
replaced that apply those layers. Nothing of this is reachable in the product.
"""

from __future__ import annotations

import platform
import stat
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from probing_helpers import Prober

from ts_shape_server.probing.interpreter import Interpreter

OFF = "layers-off"
"""The file of a workspace that names the layers which its probes go without."""
_PROGRAM = """#!{python} -BEXutf8
import sys
script = sys.argv[5]
sys.argv = sys.argv[5:]
sys.path.pop(0)
names = {{"__name__": "agent", "__file__": script}}
exec(compile(open(script).read(), script, "exec"), names)
sys.meta_path.insert(0, names["ExactImporter"](script.rsplit("/", 2)[0]))
import os
from ts_shape_server.agent.sandbox import landlock, linux, seccomp, witness
{patches}
sys.exit(names["main"]())
"""
_BY_WORKSPACE = f"""
LAYERS = {{
    "landlock": (landlock, "restrict"),
    "seccomp": (seccomp, "restrict"),
    "capabilities": (linux, "_drop_capabilities"),
    "limits": (linux, "_limit"),
    "descriptors": (linux, "close_descriptors"),
    "streams": (linux, "own_streams"),
}}
enter = linux.enter
def weaker(policy):
    places = [os.path.join(place, {OFF!r}) for place in policy.readable]
    for place in filter(os.path.exists, places):
        for layer in open(place).read().split():
            setattr(*LAYERS[layer], lambda *arguments: None)
        # It would find that the layer does not hold, which is tested elsewhere.
        witness.failures = lambda *arguments, **more: []
    enter(policy)
linux.enter = weaker
"""


def program(folder: Path, patches: str = _BY_WORKSPACE) -> str:
    """A program that runs the agent after these statements."""
    place = folder / "python"
    place.write_text(_PROGRAM.format(python=sys.executable, patches=patches))
    place.chmod(stat.S_IRWXU)
    return str(place)


def prober(folder: Path, patches: str = _BY_WORKSPACE, **options: Any) -> Prober:
    """A service whose agents are started by such a program."""
    made = Prober(**options)
    where = program(folder, patches)
    made.service.interpreter = Interpreter(where, platform.python_version(), metadata.version("torch"), "test")
    return made


def switch_off(workspace: Path, layers: Iterable[str]) -> None:
    """From here on the probes of this workspace go without these layers."""
    (workspace / OFF).write_text(" ".join(layers))
