"""Messages between the server and the agent: framing, limits, strict JSON and the schema of what a child claims.

This is the one module that runs on both sides, so it imports the standard library alone and is written for Python 3.9.
A frame is a length (four bytes, big-endian) and that many bytes of UTF-8 JSON, one object. What a child sends is a
claim by untrusted code: it is capped, parsed strictly and checked against the contract before anyone looks at it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

PROTOCOL = 1
MAXIMUM_FRAME = 32 << 20
"""Bytes of a frame from the server: a job carries the texts of open files."""
MAXIMUM_CLAIM = 1 << 20
"""Bytes of one claim of a child."""
MAXIMUM_CLAIMS = 16 << 20
"""Bytes of all claims of one job."""
OUTCOMES = ("finished", "timeout", "memory", "crashed", "cancelled", "sandbox")
STATUSES = ("ok", "failed", "unresolved", "skipped", "timeout", "crashed")

_HEADER = struct.Struct(">I")


class WireError(ValueError):
    """Bytes that are no message: too long, no JSON, or JSON of another form."""


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as a frame. WireError if it is too long."""
    body = json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(body) > MAXIMUM_FRAME:
        raise WireError(f"a message of {len(body)} bytes is longer than {MAXIMUM_FRAME}")
    return _HEADER.pack(len(body)) + body


class Decoder:
    """Takes bytes as they come and gives the messages that are complete."""

    def __init__(self, maximum: int = MAXIMUM_FRAME) -> None:
        self._maximum = maximum
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages completed by `data`. WireError for a frame that is too long or no JSON object."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._buffer)
            if length > self._maximum:
                raise WireError(f"a frame of {length} bytes is longer than {self._maximum}")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield parse(body)


def parse(body: bytes | str) -> dict[str, Any]:
    """A strict JSON object: no NaN, no duplicate keys, no nesting deeper than Python recurses. WireError for anything
    else.
    """
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError("not a JSON object")
    return value


def _refuse_constant(name: str) -> Any:
    raise WireError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise WireError("an object has a key twice")
    return result


def validate_claim(payload: str) -> dict[str, Any]:
    """A claim of a child, parsed. WireError if it is too long, or no claim."""
    if len(payload) > MAXIMUM_CLAIM:
        raise WireError(f"a claim of {len(payload)} characters is longer than {MAXIMUM_CLAIM}")
    claim = parse(payload)
    kinds = [key for key in ("report", "trial", "export", "verify", "inspect", "begin", "problem") if key in claim]
    if len(kinds) != 1:
        raise WireError(f"not a claim: it has {', '.join(sorted(claim)) or 'nothing'}")
    if "report" in claim:
        problems = validate_report(claim["report"])
        if problems:
            raise WireError("; ".join(problems[:3]))
    elif kinds[0] not in ("begin",) and not isinstance(claim[kinds[0]], dict):
        raise WireError(f"`{kinds[0]}` is no object")
    return claim


_STRING, _INTEGER, _OPTIONAL_INTEGER = (str,), (int,), (int, type(None))
_REPORT: dict[str, tuple[Any, bool]] = {
    "path": (_STRING, True),
    "class": (_STRING, True),
    "line": (_INTEGER, True),
    "status": (_STRING, True),
    "init": ((dict, type(None)), False),
    "example": ((dict, type(None)), False),
    "second": ((dict, type(None)), False),
    "symbols": ((dict,), False),
    "constraints": ((list,), False),
    "inputs": ((list,), False),
    "outputs": ((list,), False),
    "parameters": (_INTEGER, False),
    "parameter_bytes": (_INTEGER, False),
    "layers": ((list,), False),
    "variables": ((list,), False),
    "torchscript": ((dict, type(None)), False),
    "mismatches": ((list,), False),
    "evidence": ((list,), False),
    "stubbed": ((list,), False),
    "elapsed_ms": (_INTEGER, False),
    "stage": (_STRING, False),
    "reason": ((dict, type(None)), False),
    "schema": (_INTEGER, False),
}


def validate_report(report: Any) -> list[str]:
    """What is wrong with an object that claims to be a report; nothing if it follows the contract."""
    if not isinstance(report, dict):
        return ["the report is no object"]
    problems = [f"`{key}` is missing" for key, (_, needed) in _REPORT.items() if needed and key not in report]
    for key, value in report.items():
        known = _REPORT.get(key)
        if known is not None and (not isinstance(value, known[0]) or isinstance(value, bool)):
            problems.append(f"`{key}` has the wrong type")
    if problems:
        return problems
    if report["status"] not in STATUSES:
        problems.append(f"`status` is none of {', '.join(STATUSES)}")
    checks = (
        ("inputs", _value),
        ("outputs", _value),
        ("variables", _value),
        ("layers", _layer),
        ("mismatches", _failure),
    )
    for key, check in checks:
        for item in report.get(key, ()):
            problems += [f"`{key}`: {problem}" for problem in check(item)]
    problems += _failure(report["reason"]) if report.get("reason") is not None else []
    problems += _scripted(report.get("torchscript"))
    for key in ("constraints", "evidence", "stubbed"):
        if not all(isinstance(item, str) for item in report.get(key, ())):
            problems.append(f"`{key}` holds something that is no text")
    for name, symbol in report.get("symbols", {}).items():
        bounds = symbol if isinstance(symbol, dict) else {}
        if not bounds or not all(
            isinstance(bounds.get(key), _OPTIONAL_INTEGER) for key in ("min", "max", "multiple_of")
        ):
            problems.append(f"symbol `{name}` has no bounds")
    arguments = (report.get("init") or {}).get("args", {})
    if not isinstance(arguments, dict) or not all(
        isinstance(item, dict) and isinstance(item.get("expr"), str) for item in arguments.values()
    ):
        problems.append("`init` holds an argument without an expression")
    return problems


def _value(item: Any, depth: int = 0) -> list[str]:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        return ["a value has no type"]
    if depth > 8:
        return ["a value is nested too deeply"]
    dims = item.get("dims")
    if dims is not None and not _dims(dims):
        return ["dims are numbers or texts"]
    if "line" in item and not isinstance(item["line"], int):
        return ["`line` is no number"]
    if not isinstance(item.get("dtype", ""), (str, type(None))):
        return ["`dtype` is no text"]
    if not isinstance(item.get("name", ""), str):
        return ["`name` is no text"]
    parts = item.get("items", [])
    if not isinstance(parts, list):
        return ["`items` is no list"]
    return [problem for part in parts for problem in _value(part, depth + 1)]


def _dims(dims: Any) -> bool:
    return isinstance(dims, list) and all(isinstance(dim, (int, str)) and not isinstance(dim, bool) for dim in dims)


def _layer(item: Any) -> list[str]:
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("name", "type")):
        return ["a layer has no name or type"]
    if not isinstance(item.get("line"), _OPTIONAL_INTEGER) or not isinstance(item.get("parameters", 0), int):
        return ["a layer's `line` or `parameters` is no number"]
    shapes = [*item.get("inputs", ()), *item.get("outputs", ())]
    return [] if all(_dims(dims) for dims in shapes) else ["a layer's dims are numbers or texts"]


def _failure(item: Any) -> list[str]:
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("code", "message")):
        return ["a failure has no code or message"]
    location = item.get("location")
    if location is not None and not _location(location):
        return ["a failure's location is none"]
    if not all(_location(other) for other in item.get("related", ())):
        return ["a related location is none"]
    return []


def _location(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str) or not isinstance(item.get("range"), dict):
        return False
    return all(isinstance(item["range"].get(key), int) for key in ("line", "column", "end_line", "end_column"))


def _scripted(item: Any) -> list[str]:
    if item is None:
        return []
    problems: list[str] = []
    for key, failures in (("script", "failures"), ("trace", "warnings")):
        part = item.get(key)
        if part is None:
            continue
        if not isinstance(part, dict) or not isinstance(part.get("ok"), (bool, type(None))):
            problems.append(f"`{key}` has no `ok`")
            continue
        for failure in part.get(failures, ()):
            problems += _failure(failure)
    for annotation in item.get("annotations", ()):
        if not isinstance(annotation, dict) or not all(
            isinstance(annotation.get(key), str) for key in ("owner", "function", "name", "type")
        ):
            problems.append("an annotation lacks a field")
    return problems
