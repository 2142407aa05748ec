"""What a child sends is a claim: what passes the wire becomes a report without an error, the rest is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.jobs import read_claim, read_message
from ts_shape_server.contract.report import Report
from ts_shape_server.contract.schema import ContractError
from ts_shape_server.probing.process import Output

RANGE = {"line": 1, "column": 0, "end_line": 1, "end_column": 4}
FAILURE = {
    "code": "script-error",
    "message": "a try block has no place in TorchScript",
    "location": {"path": "/w/net.py", "range": RANGE, "message": ""},
    "detail": "try blocks aren't supported",
    "related": [{"path": "/w/net.py", "range": RANGE, "message": "called here"}],
}
REPORT: dict[str, Any] = {
    "schema": 1,
    "path": "/w/net.py",
    "class": "Net",
    "line": 3,
    "status": "ok",
    "reason": None,
    "init": {"args": {"width": {"expr": "32", "from": "default"}}},
    "inputs": [
        {"name": "x", "type": "List[Tensor]", "items": [{"type": "Tensor", "dims": ["B", 3]}], "from": "solved"}
    ],
    "example": {"x": {"list": [{"tensor": [2, 3], "dtype": "int64", "low": 0, "high": 4}]}},
    "second": {"x": {"dict": {"ids": {"tuple": [{"expr": "None"}]}}}},
    "symbols": {"B": {"min": 1, "max": None, "multiple_of": 1}},
    "constraints": ["H == W"],
    "outputs": [{"type": "Tensor", "dtype": "float32", "dims": ["B", 10], "values": {"min": 0, "max": None}}],
    "parameters": 10,
    "parameter_bytes": 40,
    "layers": [{"name": "fc", "type": "Linear", "line": 4, "inputs": [["B"]], "outputs": [[1]], "parameters": 10}],
    "variables": [{"name": "h", "line": 9, "type": "Tensor", "dims": ["B"], "keys": []}],
    "torchscript": {
        "script": {"ok": False, "failures": [FAILURE]},
        "trace": {"ok": None, "warnings": []},
        "annotations": [{"owner": "Net", "function": "forward", "name": "x", "type": "Tensor", "needed": True}],
    },
    "mismatches": [FAILURE],
    "evidence": ["solved"],
    "stubbed": ["apex"],
    "elapsed_ms": 4,
    "stage": "final",
}


def claim(report: Any) -> str:
    return json.dumps({"class": "Net", "report": report})


def check_refused(payload: str | bytes, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        if isinstance(payload, bytes):
            wire.parse(payload)
        else:
            read_claim(payload)


def reported(payload: str) -> Report:
    report = read_claim(payload).report
    assert report is not None
    return report


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value in a nested object."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in paths_of(item, (*path, key)))]


def test_a_report_of_the_contract_passes_and_keeps_what_it_says() -> None:
    report = reported(claim(REPORT))
    assert schema.read(Report, schema.write(report)) == report
    assert report.inputs[0].value.items[0].dims == ("B", 3)


STEERING = "\x1b]0;title\x07 \x9b2J \r \x00 \x7f \u202e"


@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "as it is"])
def test_what_steers_a_terminal_is_taken_out_of_a_claim(escaped: bool) -> None:
    text = STEERING if escaped else "\x7f\x9b\u202e"
    failure = {**FAILURE, "message": f"one\n\ttwo{text}"}
    report = {**REPORT, "mismatches": [failure], "second": {"x": {"dict": {text: {"expr": "None"}}}}}
    accepted = reported(json.dumps({"class": "Net", "report": report}, ensure_ascii=escaped))
    assert not set(text) & set(json.dumps(schema.write(accepted), ensure_ascii=False)) - set(" 0;2Jtile]")
    assert accepted.mismatches[0].message.startswith("one\n\ttwo\ufffd")


def test_what_steers_a_terminal_is_taken_out_of_what_was_printed() -> None:
    output = Output()
    output.feed(b"progress\r\n\x1b[2Jgone\n\x07half")
    assert output.last() == ["progress", "\ufffd[2Jgone", "\ufffdhalf"]


@settings(max_examples=400, deadline=None)
@given(
    place=st.sampled_from(paths_of(REPORT)),
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=3),
        st.lists(st.one_of(st.integers(), st.text(max_size=2), st.dictionaries(st.text(max_size=3), st.none()))),
        st.dictionaries(
            st.sampled_from(["type", "tensor", "dims", "name", "ok", "min"]), st.integers() | st.lists(st.text())
        ),
    ),
)
def test_whatever_passes_becomes_a_report(place: tuple[Any, ...], value: Any) -> None:
    changed: Any = {"report": copy.deepcopy(REPORT)}
    inner = changed
    for key in ("report", *place)[:-1]:
        inner = inner[key]
    inner[("report", *place)[-1]] = value
    try:
        accepted = reported(json.dumps({"class": "Net", **changed}))
    except ContractError:
        return
    json.dumps(schema.write(accepted), allow_nan=False)
    assert schema.read(Report, schema.write(accepted)) == accepted


@given(st.binary(max_size=200))
def test_bytes_are_a_message_or_are_refused(data: bytes) -> None:
    decoder = wire.Decoder(maximum=64)
    try:
        for message in decoder.feed(data):
            assert isinstance(message, dict)
    except wire.WireError:
        pass


@given(st.lists(st.dictionaries(st.text(max_size=4), st.integers(-9, 9)), max_size=4), st.data())
def test_messages_survive_any_cutting(messages: list[dict[str, Any]], data: st.DataObject) -> None:
    stream = b"".join(map(wire.encode, messages))
    decoder, found = wire.Decoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += decoder.feed(stream[:size])
        stream = stream[size:]
    assert found == messages


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff\xfe", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too large"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"[1]", "not a JSON object"),
        (b'{"a": ' + b"[" * 100_000, "not JSON"),
        (b"{", "not JSON"),
    ],
    ids=["utf-8", "nan", "infinity", "large float", "large int", "duplicate", "list", "nested", "half"],
)
def test_json_is_strict(text: bytes, words: str) -> None:
    check_refused(text, words)


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert wire.parse('{"a": ["x\\ud800y", "\\ud83d\\ude00"]}') == {"a": ["x�y", "😀"]}


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("{}", "one answer"),
        ('{"verify": {"ok": true}, "trial": {"ok": true}}', "one answer"),
        ('{"report": []}', "no object"),
        ('{"begin": 1}', "begin"),
        ('{"verify": {"ok": true, "sizes": "2"}}', "no number"),
        ('{"report": {"path": "p", "class": "c", "line": 1, "status": "fine"}}', "none of"),
        ('{"begin": true, "depends": [1]}', "no text"),
        ('{"begin": "' + "x" * wire.MAXIMUM_CLAIM + '"}', "longer"),
    ],
)
def test_what_is_no_claim_is_refused(payload: str, words: str) -> None:
    check_refused(payload, words)


def test_a_value_that_nests_for_ever_is_refused() -> None:
    value: Any = {"tensor": [1]}
    spec: Any = {"type": "Tensor", "name": "x"}
    for _ in range(60):
        value, spec = {"list": [value]}, {"type": "List", "name": "x", "items": [spec]}
    check_refused(claim({**REPORT, "example": {"x": value}}), "no value")
    check_refused(claim({**REPORT, "inputs": [spec]}), "too deeply")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_frame_over_the_limit_is_refused_before_it_is_read(number: int) -> None:
    decoder = wire.Decoder(maximum=10)
    good = wire.encode({"a": 1})
    with pytest.raises(wire.WireError, match="longer"):
        list(decoder.feed(good * number + b"\x00\x00\x00\x0b"))


def test_what_is_no_json_is_not_sent() -> None:
    with pytest.raises(wire.WireError):
        wire.encode({"a": object()})
    with pytest.raises(wire.WireError, match="longer"):
        wire.encode({"a": "x" * (wire.MAXIMUM_FRAME + 1)})


@pytest.mark.parametrize(
    ("message", "good"),
    [
        ({"type": "done", "id": 1, "outcome": "finished", "detail": "", "elapsed_ms": 1}, True),
        ({"type": "done", "id": 1, "outcome": "fine", "detail": "", "elapsed_ms": 1}, False),
        ({"type": "claim", "id": "1", "payload": ""}, False),
        ({"type": "refused", "code": "no-torch", "message": "torch is not there"}, True),
        ({"type": ["hello"]}, False),
        ({}, False),
    ],
)
def test_messages_of_the_agent_have_a_schema(message: dict[str, Any], good: bool) -> None:
    try:
        read_message(message)
    except ContractError:
        assert not good
    else:
        assert good
