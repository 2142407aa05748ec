"""What each step of a report may spend, in one table: a part of what its class has left, and so many seconds of work
at most.

Nothing else in inference or in the room of TorchScript names seconds: a class that is dear gets less of everything, and
a larger `timeoutMs` more. The seconds are work (`clock.now`), so a busy machine changes none of this. Knows no step
itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A part of the seconds that are left, at most `most` and at least `least`: some steps end what others need."""

    part: float = 1.0
    most: float = math.inf
    least: float = 0.0

    def of(self, left: float) -> float:
        """Seconds of work, of so many that are left."""
        return max(self.least, min(self.most, self.part * left))


# Parts are `Share`s; plain numbers are seconds of work that a step has whatever is left.

LOADING = Share(0.4)
"""The file's import."""
STATEMENTS = Share(1 / 3, most=2.0)
"""Of the import: statements at the top that only do something, all together."""
NAMED_STATEMENT = 0.25
"""A statement that gives a name to what it makes, even when no time is left for those that do not."""

SAVED_MODULE = Share(0.4, least=0.4)
"""The import of the file in which a saved module is wrapped."""
SAVED_CLASS = 1.0

EVIDENCE = Share(0.3)
"""All slices of the workspace together: loaders, calls."""
SLICE = Share(most=3.0)
FACTORY = Share(1 / 6, most=3.0, least=0.1)
"""One function that makes an instance, run under watch."""
PARENTS = Share(0.35)
"""The classes that make one of this class, those that have not been solved for themselves."""
PARENT = Share(most=4.0)
RECORDED_PARENT = 3.0
"""A parent that was solved for itself, run once more to see what it gives to its parts."""

SEARCH = Share(0.45, most=6.0)
"""Constructor arguments and inputs."""
PROFILE = Share(least=0.5)
"""All profiles of sizes that are left; each gets its part."""
FIRST_PROFILE = Share(0.5)
"""The first profile of sizes, the others share the rest: most that can be found is found there."""
AFTER_BUILDING = Share(0.45, most=2.0)
"""The search for inputs after a constructor that was slow."""
ADJUSTMENT = 1.0
"""Arguments that are changed for a run which comes further."""
CHOICE = Share(0.3, most=8.0)
"""Which of several finds is meant: bounded by counted calls, so that a slow machine chooses as a fast one does."""
SHORTEST_RUN = 1.0
"""One run of the search, however little of its time is left."""
RUN = Share(0.25, least=SHORTEST_RUN)
"""The same of a search with time: a larger `timeoutMs` lets slower modules run."""
REAL_RUN = Share(1 / 3, most=8.0, least=1.0)
"""The find, confirmed on real tensors."""
REAL_SEARCH = Share(least=1.0)
"""The search that begins anew on real tensors, where those refuse the find."""

SYMBOLIC_RUN = Share(0.3, most=6.0)
"""The find on symbols, or the failure for the sizes that disagree."""
CONVERTED = Share(0.5, most=2.0)
"""The search for inputs of a converted copy, where nothing else was found."""
CLAIM = Share(0.3, most=4.0)
"""The runs at other sizes."""
DEAR_CLAIM = Share(0.3, most=10.0)
"""The same where a single run takes a good part of a second."""
BATCH_RUN = Share(least=0.1)
"""Of the claim: the run that tells whether rows are the batch."""
VERIFYING = Share(0.25)
"""Of the claim: runs at sizes drawn from what was found."""
HALVING = Share(0.25)
"""Of the claim: a boundary that takes less is found by halving, which needs no run on symbols."""
ASKING = Share(0.25)
"""Of the claim: one run on symbols that is to tell why sizes fail."""
INDICES = 1.0
"""The values of integer tensors."""
OMITTED = 1.0
"""The shapes of parameters that may be left out."""
DEAR_OMITTED = Share(most=3.0)
SAMPLES = Share(0.1, most=2.0)
"""Runs at other sizes from which shapes are spelled."""
LIGHTER = Share(0.15, most=4.0)
"""Smaller sizes and narrower layers for TorchScript, once the claim has been told."""
ARGUMENT_NAMES = Share(0.15, most=2.0)
"""Builds with other arguments, for sizes that move with one."""
CONTRADICTIONS = Share(1 / 6, most=2.0, least=0.1)
"""What annotations, words and calls say against the find."""

EXPORT = 3600.0
"""Seconds for an export: the process that runs it is limited from outside."""
ELSEWHERE = Share(0.25, most=5.0, least=0.5)
"""TorchScript: another process loads a saved script, and runs it."""
FREEZING = 1.0
"""TorchScript: functions that are cut to find where a script computes otherwise."""
FREEZING_NEEDS = 4.0
"""Seconds that must be left for it: what is known already would be lost with the process when its time is up."""
CHEAP_BUILD = 0.02
"""Seconds up to which an instance is rather built anew than copied."""
WIDENING_RUN = 0.3
"""Seconds beyond which a run is not repeated for the types of other sizes."""
DEAR_RUN = 0.3
"""Seconds from which on a run is made in memory, where fake tensors take it apart step by step."""
