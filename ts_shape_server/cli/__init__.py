"""The command line: flags, and which command they start. Errors are one sentence; tracebacks need ``--verbose``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Any

from ts_shape_server import __version__
from ts_shape_server.contract import wire
from ts_shape_server.contract.choices import EXPORT_DTYPES, EXPORT_METHODS

COULD_NOT_RUN = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "serve")
    parser = _parser()
    options, unknown = parser.parse_known_args(given)
    # Editors add flags of their own, such as --clientProcessId, to the command of a server.
    if unknown and options.command != "serve":
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if options.verbose else logging.INFO if options.command == "serve" else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # pygls logs whole messages, and with them the user's code, at lower levels.
    logging.getLogger("pygls").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("parso").setLevel(logging.WARNING)
    if options.command == "serve":
        return _serve(options)
    return _command(options)


def _serve(options: argparse.Namespace) -> int:
    from ts_shape_server.lsp import transport

    stdout = transport.private_stdout()
    try:
        server = transport.make_server(options.trust_workspace, flags(options))
        if options.tcp is not None:
            transport.serve_tcp(server, *options.tcp)
        elif options.ws is not None:
            transport.serve_websocket(server, *options.ws)
        else:
            transport.serve_stdio(server, stdout)
    except (OSError, ImportError) as error:
        return _failed(f"The server cannot listen: {error}.", options.verbose)


def _command(options: argparse.Namespace) -> int:
    from ts_shape_server.cli.commands import COMMANDS
    from ts_shape_server.cli.runs import CommandProblem

    try:
        return asyncio.run(COMMANDS[options.command](options, flags(options)))
    except CommandProblem as problem:
        return _failed(str(problem), options.verbose)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
        return COULD_NOT_RUN
    except Exception as error:
        return _failed(f"ts-shape-server failed: {type(error).__name__}: {error}".splitlines()[0], options.verbose)


def _failed(message: str, verbose: bool) -> int:
    if verbose:
        logging.getLogger(__name__).exception("%s", message)
    else:
        print(wire.printable(message), file=sys.stderr)
    return COULD_NOT_RUN


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise argparse.ArgumentTypeError(f"HOST:PORT is needed, not {text}")
    return host.strip("[]") or "127.0.0.1", int(port)


def flags(options: argparse.Namespace) -> dict[str, Any]:
    """The settings among the flags that every command takes."""
    timeout = options.timeout
    return {
        "interpreter": options.interpreter,
        "timeoutMs": None if timeout is None else round(timeout * 1000),
        "jobs": options.jobs,
        "sandbox": options.sandbox,
        "loglevel": "debug" if options.verbose else None,
    }


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number of seconds is needed, not {text}") from None


def _shard(text: str) -> tuple[int, int]:
    """``K/N`` from a command line: the K-th of N parts, from 1."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second) <= 10_000):
        raise argparse.ArgumentTypeError(f"K/N is needed, the K-th of N parts (1/4), not {text}")
    return int(first), int(second)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ts-shape-server",
        description="Tells what goes into an nn.Module, what comes out, and what TorchScript will not take.",
        epilog="Without a command it serves LSP over stdio.",
    )
    parser.add_argument("--version", action="version", version=f"ts-shape-server {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--interpreter", metavar="PYTHON", help="the Python whose torch runs the probes")
    common.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="how long one class may take (20)")
    common.add_argument("--jobs", type=int, metavar="N", help="how many probes run at once (check: one for each core)")
    common.add_argument("--sandbox", choices=("required", "bestEffort", "off"), help="how probes are confined")
    common.add_argument("--verbose", action="store_true", help="log more, and show tracebacks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", parents=[common], help="the language server")
    where = serve.add_mutually_exclusive_group()
    where.add_argument("--stdio", action="store_true", help="over standard input and output (the default)")
    where.add_argument("--tcp", type=_address, metavar="HOST:PORT", help="for one client over TCP")
    where.add_argument("--ws", type=_address, metavar="HOST:PORT", help="for one client over a web socket")
    serve.add_argument("--trust-workspace", action="store_true", help="run the code of the workspace in probes")

    check = commands.add_parser("check", parents=[common], help="all diagnostics of all classes")
    check.add_argument("paths", nargs="+", metavar="PATH")
    check.add_argument("--format", choices=("text", "json", "github", "sarif"), default="text")
    check.add_argument(
        "--all", action="store_true", help="every finding about TorchScript, where text has a line for each class"
    )

    check.add_argument(
        "--changed",
        nargs="?",
        const="HEAD",
        metavar="REV",
        help="only the files that differ from a revision of Git (HEAD), and those that such a change reaches",
    )
    check.add_argument("--shard", type=_shard, metavar="K/N", help="only the K-th of N parts, for as many machines")

    show = commands.add_parser("show", parents=[common], help="what goes in and what comes out")
    show.add_argument("files", nargs="+", metavar="FILE[:CLASS]")
    how = show.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="one JSON object a line")
    how.add_argument("--html", metavar="OUT", help="a page with the flow drawn, in one file that needs no network")

    export = commands.add_parser("export", parents=[common], help="export a class and verify the export")
    export.add_argument("target", metavar="FILE:CLASS")
    export.add_argument("-o", "--output", required=True, metavar="OUT")
    export.add_argument("--method", choices=EXPORT_METHODS, default="auto")
    export.add_argument("--init", action="append", default=[], metavar="NAME=EXPRESSION")
    export.add_argument("--input", action="append", default=[], metavar="NAME=SPEC")
    export.add_argument("--checkpoint", metavar="WEIGHTS", help="a state_dict to load before the export")
    export.add_argument("--dtype", choices=EXPORT_DTYPES, help="convert weights and inputs")
    export.add_argument("--force", action="store_true", help="replace OUT if it exists")

    fix = commands.add_parser("fix", parents=[common], help="rewrites that are known to help, as a diff")
    fix.add_argument("files", nargs="+", metavar="FILE[:CLASS]")
    fix.add_argument("--seconds", type=float, default=60.0, help="how long to look for a class's repair (default 60)")
    fix.add_argument(
        "--leave-to-python",
        action="store_true",
        help="also move what cannot be compiled into `@torch.jit.ignore` functions: the script cannot be saved then",
    )
    fix.add_argument("--write", action="store_true", help="write the files instead")
    fix.add_argument("--json", action="store_true", help="one JSON object a file: what was fixed, what is left, edits")

    inspect = commands.add_parser("inspect", parents=[common], help="what goes into a saved module")
    inspect.add_argument("files", nargs="+", metavar="FILE.pt")
    how = inspect.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="one JSON object a line")
    how.add_argument("--html", metavar="OUT", help="a page in one file that needs no network")

    info = commands.add_parser("info", parents=[common], help="interpreter, torch and sandbox")
    info.add_argument("--json", action="store_true")
    return parser
