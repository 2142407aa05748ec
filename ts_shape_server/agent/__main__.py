"""The agent: a process in the user's interpreter that has torch imported and forks one sandboxed child per job.

Launched by file path with two private descriptors. It exposes exactly this package's agent and what both sides
share to the interpreter, and never puts their folder on `sys.path`. Single-threaded: it reads requests, relays a
child's claims unread, keeps the deadline, and kills. When the request descriptor ends, it and its child end.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import os
import site
import sys
from typing import Any

PACKAGE = "ts_shape_server"
_SHARED = tuple(f"{PACKAGE}.{name}" for name in ("agent", "contract", "folders"))


class ExactImporter:
    """Finds this project's packages that the agent may use, by their exact place, and nothing else."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != PACKAGE and ".".join(name.split(".")[:2]) not in _SHARED:
            return None
        place = os.path.join(self._root, *name.split(".")[1:])
        init = os.path.join(place, "__init__.py")
        if os.path.isfile(init):
            return importlib.util.spec_from_file_location(name, init, submodule_search_locations=[place])
        if os.path.isfile(place + ".py"):
            return importlib.util.spec_from_file_location(name, place + ".py")
        return None


def main() -> int:
    """Serve until the request descriptor ends; exit code 0, or 3 when this interpreter cannot be used."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--request-fd", type=int, default=-1)
    parser.add_argument("--reply-fd", type=int, default=-1)
    parser.add_argument("--token", default="", help="speak over the standard input and output, after this text")
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--sandbox", default="bestEffort")
    parser.add_argument("--site", action="append", default=[])
    parser.add_argument("--spare", default="", help="be a process for one job; speak after this text")
    parser.add_argument("--witness", action="store_true")
    options = parser.parse_args()
    # Python puts this file's folder first on the path; its modules would shadow the user's.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    for folder in options.site:
        site.addsitedir(folder)
    sys.meta_path.insert(0, ExactImporter(os.path.dirname(here)))
    if options.spare:
        from ts_shape_server.agent import spare

        return spare.serve(options.spare, options.witness)
    from ts_shape_server.agent import loop, standard
    from ts_shape_server.agent.sandbox import policy

    request, reply = options.request_fd, options.reply_fd
    if not options.token:
        policy.end_with_server(options.scratch, request)
    if options.token:
        request, reply = standard.taken()
        os.write(reply, options.token.encode())
    chosen = loop.LoopOptions(
        request, reply, options.scratch, options.sandbox, policy.needs_spares(), tuple(options.site)
    )
    return loop.serve(chosen)


if __name__ == "__main__":
    sys.exit(main())
