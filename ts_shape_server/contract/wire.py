"""Frames between the server and the agent: their limits, and strict JSON.

A frame is a length (four bytes, big-endian) and that many bytes of UTF-8 JSON, one object. What a child sends is a
claim by untrusted code: it is capped and parsed strictly here. Knows nothing of what the objects mean.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from ts_shape_server.contract.schema import ContractError

PROTOCOL = 3
MAXIMUM_FRAME = 32 << 20
"""Bytes of a frame from the server: a job carries the texts of open files."""
MAXIMUM_CLAIM = 1 << 20
"""Bytes of one claim of a child."""
MAXIMUM_CLAIMS = 16 << 20
"""Bytes of all claims of one job."""
CONTENTION = 10.0
"""So much slower than on an idle machine may a process be before its limits, which count work, are felt."""

_HEADER = struct.Struct(">I")
_LARGEST = 1 << 63
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What steers a terminal or turns the direction of a line, but for the tab and the line feed."""
_CONTROL_ESCAPE = re.compile(r"\\(?:[bfr]|u00[01789]|u20[026])")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class WireError(ContractError):
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


def printable_object(payload: str) -> dict[str, Any]:
    """A strict JSON object whose texts hold no such characters. WireError if it is too long, or none."""
    if len(payload) > MAXIMUM_CLAIM:
        raise WireError(f"a claim of {len(payload)} characters is longer than {MAXIMUM_CLAIM}")
    found = parse(payload)
    if _CONTROL.search(payload) or _CONTROL_ESCAPE.search(payload):
        found = _printable(found)
    return found


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
