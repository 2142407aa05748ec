"""Evidence of one file alone, where every name that could be the class's is taken for it."""

from __future__ import annotations

from ts_shape_server.analysis.evidence import calls_of, candidates
from ts_shape_server.analysis.instances import Standing
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallEvidence


def calls_in(class_name: str, source: SourceText, path: str) -> tuple[CallEvidence, ...]:
    found = candidates(source, [class_name])
    return calls_of(class_name, source, path, Standing(frozenset(found.names), found.paths))
