"""Keeps what a report says to the files that it may speak of. A report is made beside a stranger's code, so that it may
name any file of the machine: no finding is published there, and no reader is led there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Failure, Report

Holds = Callable[[str], bool]
"""Whether a path is one of a file that may be spoken of."""


def within_folders(folders: Iterable[str]) -> Holds:
    """Whether a path, which may be a stranger's word, is spelled as one below these folders."""
    known = tuple(dict.fromkeys(os.path.normpath(folder) for folder in folders if folder))

    def holds(path: str) -> bool:
        inside = Path(os.path.normpath(path))
        return "\0" not in path and inside.is_absolute() and any(inside.is_relative_to(folder) for folder in known)

    return holds


def confined(report: Report, holds: Holds) -> Report:
    """`report` without the places that lie elsewhere. What is said of a class stays, at the class itself, and may also
    name a place in an installed package; what is said of a call elsewhere goes, since it is about nothing else.
    """
    scripted = report.torchscript
    own, holds = holds, lambda path: own(path) or _is_of_a_package(path)
    return replace(
        report,
        reason=None if report.reason is None else _failure(report.reason, holds),
        mismatches=_all(
            (item for item in report.mismatches if item.location is None or own(item.location.path)), holds
        ),
        torchscript=replace(
            scripted,
            script=replace(scripted.script, failures=_all(scripted.script.failures, holds)),
            trace=replace(scripted.trace, failures=_all(scripted.trace.failures, holds)),
        ),
    )


def _is_of_a_package(path: str) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(os.path.normpath(path)).parts)


def _all(found: Iterable[Failure], holds: Holds) -> tuple[Failure, ...]:
    return tuple(_failure(item, holds) for item in found)


def _failure(found: Failure, holds: Holds) -> Failure:
    place = found.location
    kept = place is None or holds(place.path)
    return replace(found, location=place if kept else None, related=_places(found.related, holds))


def _places(found: Iterable[Location], holds: Holds) -> tuple[Location, ...]:
    return tuple(item for item in found if holds(item.path))
