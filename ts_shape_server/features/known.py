"""What is known of one class at this moment: its last report, whether that is of the text as it stands, and why not.

The one place that decides what may be said as fresh and what must carry a note. It knows no editor and starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Report


def unparsed(error: tuple[Range, str]) -> str:
    """Why nothing in a file with this syntax error can be probed."""
    return f"The file does not parse (line {error[0].line}: {error[1]})."


@dataclass(frozen=True)
class Known:
    """`fresh`: the report was made from what the text says now of the class. `running`: a probe that may say more is
    under way. `obstacle`: one sentence on why nothing is probed.
    """

    name: str
    report: Report | None = None
    fresh: bool = False
    running: bool = False
    obstacle: str = ""

    @property
    def current(self) -> Report | None:
        """The report, if it is of the text as it stands."""
        return self.report if self.fresh else None

    def note(self) -> str:
        """A sentence on how far to trust what is shown; empty when the report is fresh and final."""
        if self.report is None:
            if self.running:
                return "A probe of this class is under way."
            return self.obstacle or "This class has not been probed yet."
        if not self.fresh:
            if self.running:
                return "This is of an earlier version of the code; a newer probe is under way."
            return f"This is of an earlier version of the code. {self.obstacle}".rstrip()
        if self.report.stage != "final":
            return "This is a first result; the probe goes on."
        return ""
