"""What is known of the libraries on top of torch, one small file for each in `libraries`.

A file there is named after what is imported, imports nothing of it, and does something only once the user's code has
imported that. It may have:

- `WATCHED`: for the name of a module of the library, what to change in it once it has been imported, so that a
  constructor gets the architecture where it would download weights;
- `ADAPTED`: likewise, also where weights matter: for what a probe cannot do, as compiling;
- `argument(parameter, cls, namespace)`: a Python expression for a constructor argument that the library makes;
- `configured(parameter, cls, namespace)`: an expression for what the library passes to a constructor because a file
  of the workspace says so, also where the parameter has a default, and the name of that file;
- `container(asked, namespace)`: a guess for an input of the library's own kind, or for one that is passed to a part of
  the library that documents what it takes;
- `spelled(value, namespace)`: an expression that makes an object of the library anew, or None;
- `instance(value, namespace, guess)`: the guess that describes an object of the library that the workspace made.

The engine asks through this module alone and knows none of the libraries. Nothing that a file here does may break the
library's own code: what fails in `WATCHED` is left out, and logged.
"""

from ts_shape_server.agent.ecosystem.registry import (
    SPREAD,
    Asked,
    Passed,
    argument,
    configured,
    container,
    instance,
    prepare,
    spelled,
    watch,
)

__all__ = [
    "SPREAD",
    "Asked",
    "Passed",
    "argument",
    "configured",
    "container",
    "instance",
    "prepare",
    "spelled",
    "watch",
]
