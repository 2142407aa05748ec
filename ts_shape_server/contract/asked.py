"""What the server asks about a class: where it stands, what comments pin, the calls of the workspace, its parents.

Expressions and slices are Python text; an agent runs them in the sandbox alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Optional

from ts_shape_server.contract.places import Range
from ts_shape_server.contract.schema import entry

Certainty = Literal["", "signature", "values"]
"""Whether a call is an error if the class refuses it: never, if its signature does, or if its values do not run too."""


@dataclass(frozen=True)
class CallArguments:
    """Expressions by position and by name. One that starts with ``*`` is spread, as is a value named ``**``."""

    args: tuple[str, ...] = ()
    kwargs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CallEvidence:
    """One call: `setup` is source that binds what the expressions need, `label` says where it stands."""

    kind: str = ""
    path: str = ""
    line: int = 0
    setup: str = ""
    init: Optional[CallArguments] = None
    inputs: Optional[CallArguments] = None
    label: str = ""
    range: Optional[Range] = None
    certain: Certainty = ""
    cast: str = ""
    """The dtype that the object was converted to before the call: what the class itself takes is float32 there."""


@dataclass(frozen=True)
class Pinned:
    """What comments over a class say: constructor expressions, and shapes or literals of inputs, by parameter."""

    init: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ParentAsked:
    """A class that makes an instance of the one that is asked about, or of another of its parents."""

    path: str
    name: str
    pragmas: Pinned = field(default_factory=Pinned)
    evidence: tuple[CallEvidence, ...] = field(default=(), metadata=entry(omitted=True))


@dataclass(frozen=True)
class ClassAsked:
    """A class to report on; `parents` are classes whose runs may show what this one gets, the outermost first."""

    name: str
    line: int = 1
    pragmas: Pinned = field(default_factory=Pinned)
    evidence: tuple[CallEvidence, ...] = field(default=(), metadata=entry(omitted=True))
    parents: tuple[ParentAsked, ...] = field(default=(), metadata=entry(omitted=True))
