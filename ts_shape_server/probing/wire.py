"""Messages between the server and the agent: framing, limits, strict JSON and the schema of what a child claims.

This is the one module that runs on both sides, so it imports the standard library alone and is written for Python 3.9.
A frame is a length (four bytes, big-endian) and that many bytes of UTF-8 JSON, one object. What a child sends is a
claim by untrusted code: it is capped, parsed strictly and checked against the contract before anyone looks at it.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Callable

PROTOCOL = 2
MAXIMUM_FRAME = 32 << 20
"""Bytes of a frame from the server: a job carries the texts of open files."""
MAXIMUM_CLAIM = 1 << 20
"""Bytes of one claim of a child."""
MAXIMUM_CLAIMS = 16 << 20
"""Bytes of all claims of one job."""
MAXIMUM_DEPTH = 16
"""Levels of nesting of a value or a spec."""
MAXIMUM_ITEMS = 20_000
"""Elements of a list or an object."""
CONTENTION = 10.0
"""So much slower than on an idle machine may a process be before its limits, which count work, are felt."""
OUTCOMES = ("finished", "timeout", "memory", "crashed", "cancelled", "sandbox")
STATUSES = ("ok", "failed", "unresolved", "skipped", "timeout", "crashed")

_HEADER = struct.Struct(">I")
_LARGEST = 1 << 63
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What steers a terminal or turns the direction of a line, but for the tab and the line feed."""
_CONTROL_ESCAPE = re.compile(r"\\(?:[bfr]|u00[01789]|u20[026])")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")

Check = Callable[[Any], Iterator[str]]
"""Gives what is wrong with a value; nothing if it is as it should be."""


class WireError(ValueError):
    """Bytes that are no message: too long, no JSON, or JSON of another form."""


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as a frame. WireError if it is too long or holds what is no JSON."""
    try:
        body = json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None
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
    """A strict JSON object: no NaN, no infinity, no numbers beyond 64 bits, no duplicate keys, no nesting deeper than
    Python recurses; a half of a surrogate pair becomes U+FFFD. WireError for anything else.
    """
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded,
            object_pairs_hook=_unique,
        )
        if _SURROGATE_ESCAPE.search(text):
            value = _without_surrogates(value)
    except WireError:
        raise
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}"[:200]) from None
    if not isinstance(value, dict):
        raise WireError("not a JSON object")
    return value


def _refuse_constant(name: str) -> Any:
    raise WireError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise WireError("a number is too large")
    return number


def _bounded(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > _LARGEST:
        raise WireError("a number is too large")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise WireError("an object has a key twice")
    return result


def printable(text: str) -> str:
    """A text without characters that would steer the terminal it is printed to."""
    return _CONTROL.sub("\ufffd", text)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): _printable(item) for key, item in value.items()}
    return value


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


# ---- checks


def _is(*types: type) -> Check:
    """A value of one of these types; a bool is no number."""
    words = " or ".join(
        {"NoneType": "null", "str": "text", "int": "number"}.get(kind.__name__, kind.__name__) for kind in types
    )

    def check(value: Any) -> Iterator[str]:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield f"is no {words}"

    return check


def _list_of(check_item: Check) -> Check:
    def check(value: Any) -> Iterator[str]:
        if not isinstance(value, list):
            yield "is no list"
        elif len(value) > MAXIMUM_ITEMS:
            yield "is too long"
        else:
            for number, item in enumerate(value):
                for problem in check_item(item):
                    yield f"[{number}] {problem}"

    return check


def _object_of(check_item: Check) -> Check:
    def check(value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield "is no object"
        elif len(value) > MAXIMUM_ITEMS:
            yield "is too long"
        else:
            for key, item in value.items():
                for problem in check_item(item):
                    yield f"`{key[:40]}` {problem}"

    return check


def _record(needed: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these keys; others are allowed, and read by nobody."""
    checks = {**needed, **(optional or {})}

    def check(value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield "is no object"
            return
        for key in needed:
            if key not in value:
                yield f"`{key}` is missing"
        for key, check_value in checks.items():
            if key in value:
                for problem in check_value(value[key]):
                    yield f"`{key}` {problem}"

    return check


def _or_null(check_value: Check) -> Check:
    def check(value: Any) -> Iterator[str]:
        if value is not None:
            yield from check_value(value)

    return check


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> Iterator[str]:
        if value not in choices:
            yield f"is none of {', '.join(choices)}"

    return check


_TEXT, _NUMBER, _FLAG = _is(str), _is(int), _is(bool)
_NUMBER_OR_NULL, _FLAG_OR_NULL = _is(int, type(None)), _is(bool, type(None))
_TEXTS = _list_of(_TEXT)
_DIMS = _list_of(_is(int, str))


def _spec(value: Any, depth: int = 0) -> Iterator[str]:
    """The type of a value (`model.ValueSpec`), of any depth up to the limit."""
    yield from _SPEC(value)
    items = value.get("items", []) if isinstance(value, dict) else []
    if depth > MAXIMUM_DEPTH:
        yield "is nested too deeply"
    elif not isinstance(items, list) or len(items) > MAXIMUM_ITEMS:
        yield "`items` is no list"
    else:
        for item in items:
            yield from _spec(item, depth + 1)


def _example(value: Any, depth: int = 0) -> Iterator[str]:
    """A value in the contract's nested form."""
    if not isinstance(value, dict) or depth > MAXIMUM_DEPTH:
        yield "is no value"
    elif "tensor" in value:
        yield from _TENSOR(value)
    elif "expr" in value:
        yield from _TEXT(value["expr"])
    elif "list" in value or "tuple" in value:
        items = value.get("list", value.get("tuple"))
        yield from _list_of(lambda item: _example(item, depth + 1))(items)
    elif "dict" in value:
        yield from _object_of(lambda item: _example(item, depth + 1))(value["dict"])
    elif "make" in value:
        yield from _TEXT(value["make"])
        yield from _object_of(lambda item: _example(item, depth + 1))(value.get("fields") or {})
    else:
        yield "is no value"


_SPEC = _record(
    {"type": _TEXT},
    {
        "name": _TEXT,
        "from": _TEXT,
        "optional": _FLAG,
        "dtype": _or_null(_TEXT),
        "dims": _or_null(_DIMS),
        "keys": _TEXTS,
        "values": _or_null(_record({}, {"min": _NUMBER_OR_NULL, "max": _NUMBER_OR_NULL})),
        "line": _NUMBER,
    },
)
_TENSOR = _record({"tensor": _list_of(_NUMBER)}, {"dtype": _TEXT, "low": _NUMBER, "high": _NUMBER})
_RANGE = _record({"line": _NUMBER, "column": _NUMBER, "end_line": _NUMBER, "end_column": _NUMBER})
_LOCATION = _record({"path": _TEXT, "range": _RANGE}, {"message": _TEXT})
_DISAGREEMENT = _record({"wanted": _NUMBER, "got": _NUMBER}, {"layer": _TEXT, "producer": _TEXT})
_FAILURE = _record(
    {"code": _TEXT, "message": _TEXT},
    {
        "location": _or_null(_LOCATION),
        "detail": _TEXT,
        "related": _list_of(_LOCATION),
        "sizes": _or_null(_DISAGREEMENT),
        "kind": _TEXT,
        "facts": _object_of(lambda item: _fact(item)),
        "complaints": _list_of(_record({"kind": _TEXT}, {"facts": _object_of(lambda item: _fact(item))})),
    },
)
_ANNOTATION = _record({"owner": _TEXT, "function": _TEXT, "name": _TEXT, "type": _TEXT}, {"needed": _FLAG})
_FACTS = _record(
    {
        "line": _NUMBER,
        "ran": _FLAG,
        "values": _list_of(lambda item: _seen(item)),
        "idle": _list_of(lambda item: _extent(item)),
    }
)
_TORCHSCRIPT = _record(
    {},
    {
        "script": _or_null(_record({}, {"ok": _FLAG_OR_NULL, "failures": _list_of(_FAILURE)})),
        "trace": _or_null(_record({}, {"ok": _FLAG_OR_NULL, "warnings": _list_of(_FAILURE)})),
        "annotations": _list_of(_ANNOTATION),
        "facts": _list_of(_FACTS),
    },
)
_LAYER = _record(
    {"name": _TEXT, "type": _TEXT},
    {"line": _NUMBER_OR_NULL, "inputs": _list_of(_DIMS), "outputs": _list_of(_DIMS), "parameters": _NUMBER},
)
_ARGUMENTS = _object_of(_record({"expr": _TEXT}, {"from": _TEXT}))
_REPORT = _record(
    {"path": _TEXT, "class": _TEXT, "line": _NUMBER, "status": _one_of(*STATUSES)},
    {
        "schema": _NUMBER,
        "stage": _TEXT,
        "reason": _or_null(_FAILURE),
        "init": _or_null(_record({}, {"args": _ARGUMENTS})),
        "inputs": _list_of(lambda item: _named(item)),
        "example": _or_null(_object_of(_example)),
        "second": _or_null(_object_of(_example)),
        "others": _list_of(_object_of(_example)),
        "symbols": _object_of(_record({}, {"min": _NUMBER, "max": _NUMBER_OR_NULL, "multiple_of": _NUMBER})),
        "constraints": _TEXTS,
        "outputs": _list_of(_spec),
        "parameters": _NUMBER,
        "parameter_bytes": _NUMBER,
        "layers": _list_of(_LAYER),
        "variables": _list_of(lambda item: _placed(item)),
        "torchscript": _or_null(_TORCHSCRIPT),
        "mismatches": _list_of(_FAILURE),
        "notes": _TEXTS,
        "evidence": _TEXTS,
        "stubbed": _TEXTS,
        "elapsed_ms": _NUMBER,
        "core_ms": _NUMBER,
    },
)
_ANSWERS: Mapping[str, Check] = {
    "report": lambda value: _REPORT(value),
    "trial": _record({"ok": _FLAG}, {"reason": _TEXT, "torchscript": _or_null(_TORCHSCRIPT)}),
    "export": _record(
        {"ok": _FLAG},
        {"method": _TEXT, "reason": _or_null(_FAILURE), "file": _TEXT, "expected": _TEXT, "notes": _TEXTS},
    ),
    "verify": _record(
        {"ok": _FLAG}, {"reason": _TEXT, "largest_difference": _is(int, float, type(None)), "sizes": _NUMBER}
    ),
    "inspect": _record(
        {"kind": _TEXT, "message": _TEXT},
        {"source": _TEXT, "report": _or_null(lambda value: _REPORT(value)), "facts": _TEXTS},
    ),
    "begin": _FLAG,
}
_TIER = _record({"tier": _TEXT, "layers": _object_of(_TEXT)})
_MESSAGES: Mapping[str, Check] = {
    "hello": _record(
        {"protocol": _NUMBER, "python": _TEXT, "torch": _TEXT, "executable": _TEXT, "pid": _NUMBER, "sandbox": _TIER},
        {"symbolic": _FLAG},
    ),
    "refused": _record({"code": _TEXT, "message": _TEXT}),
    "claim": _record({"id": _NUMBER, "payload": _TEXT}),
    "working": _record({"id": _NUMBER}),
    "done": _record({"id": _NUMBER, "outcome": _one_of(*OUTCOMES), "detail": _TEXT, "elapsed_ms": _NUMBER}),
}


def _seen(item: Any) -> Iterator[str]:
    """An extent and the type that was seen there: one list, since a report has thousands."""
    if not isinstance(item, list) or len(item) != 5:
        yield "is no extent with a type"
    else:
        yield from _extent(item[:4])
        yield from _TEXT(item[4])


def _fact(item: Any) -> Iterator[str]:
    """A text or a number, or a list of such."""
    yield from (_DIMS if isinstance(item, list) else _is(str, int))(item)


def _extent(item: Any) -> Iterator[str]:
    if not isinstance(item, list) or len(item) != 4:
        yield "is no extent"
    else:
        yield from _list_of(_NUMBER)(item)


def _named(item: Any) -> Iterator[str]:
    yield from _spec(item)
    if isinstance(item, dict) and "name" not in item:
        yield "`name` is missing"


def _placed(item: Any) -> Iterator[str]:
    yield from _named(item)
    if isinstance(item, dict) and "line" not in item:
        yield "`line` is missing"


def validate_report(report: Any) -> list[str]:
    """What is wrong with an object that claims to be a report; nothing if it follows the contract."""
    return [f"the report {problem}" for problem in _first(_REPORT(report))]


def validate_message(message: Mapping[str, Any]) -> list[str]:
    """What is wrong with a message of the agent; nothing if it may be used."""
    kind = message.get("type")
    check = _MESSAGES.get(kind) if isinstance(kind, str) else None
    return [f"it is none of {', '.join(_MESSAGES)}"] if check is None else _first(check(message))


def validate_claim(payload: str) -> dict[str, Any]:
    """A claim of a child, parsed; control characters in it become U+FFFD. WireError if it is too long, or no claim."""
    if len(payload) > MAXIMUM_CLAIM:
        raise WireError(f"a claim of {len(payload)} characters is longer than {MAXIMUM_CLAIM}")
    claim = parse(payload)
    if _CONTROL.search(payload) or _CONTROL_ESCAPE.search(payload):
        claim = _printable(claim)
    kinds = [kind for kind in _ANSWERS if kind in claim]
    if len(kinds) != 1:
        raise WireError("not a claim: it must hold one answer")
    problems = _first(_ANSWERS[kinds[0]](claim[kinds[0]]))
    problems += _first(_record({}, {"class": _TEXT, "depends": _TEXTS, "phase": _TEXT})(claim))
    if problems:
        raise WireError(f"`{kinds[0]}` {'; '.join(problems)}")
    return claim


def _first(problems: Iterator[str], count: int = 3) -> list[str]:
    """The first few: a claim may be wrong in a million places."""
    return [problem for problem, _ in zip(problems, range(count))]
