"""How many runs an examination makes, and what it keeps of each."""

from __future__ import annotations

from typing import Any

import pytest

from ts_shape_server.agent import script
from ts_shape_server.agent.script.session import ScriptSession

IN_TWO_FUNCTIONS = """
def first(x):
    return torch.tensor(x.numpy().sum())

def second(x, times):
    if times:
        return x
    return torch.tensor(x.numpy().max())

class Net(nn.Module):
    def forward(self, x):
        {before}
        return first(x) + second(x, 0)
"""


@pytest.mark.parametrize(
    ("before", "runs"), [("pass", [False]), ("if self.training:\n            x = x * 2", [False, True])]
)
def test_one_run_records_every_function_and_another_where_training_may_show_more(
    load: Any, monkeypatch: pytest.MonkeyPatch, before: str, runs: list[bool]
) -> None:
    made: list[bool] = []
    rerun = ScriptSession.rerun

    def noted(session: ScriptSession, training: bool = False) -> Any:
        made.append(training)
        return rerun(session, training)

    monkeypatch.setattr(ScriptSession, "rerun", noted)
    run, context = load(IN_TWO_FUNCTIONS.format(before=before))
    found = script.examine(run, context).script.failures
    assert len(found) >= 2
    assert made == runs


def test_what_the_compiler_refuses_of_an_exported_method_is_no_trace_warning_as_well(load: Any) -> None:
    source = """
class Net(nn.Module):
    def forward(self, x):
        return x.relu()

    @torch.jit.export
    def pooled(self, x, how):
        return x.max() if how == "max" else x.mean()
"""
    run, context = load(source)
    found = script.examine(run, context)
    assert [item.code for item in found.script.failures] == ["script-error"]
    assert (found.trace.ok, found.trace.failures) == (False, ())


def test_the_output_of_a_second_size_is_kept_from_the_run_that_showed_its_types(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "class Net(nn.Module):\n    def forward(self, x):\n        return x * 2\n"
    run, context = load(source, second={"x": {"tensor": [5, 3]}})
    session = ScriptSession(run, context)
    assert session.watched
    monkeypatch.setattr(ScriptSession, "call", None)
    assert session.eager(True).shape == (5, 3)
