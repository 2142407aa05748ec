"""Input inference: from a class to a report of all that it accepts. `report_class` is the one way in."""

from ts_shape_server.agent.infer.facts.config_files import consulted
from ts_shape_server.agent.infer.facts.parents import Parents
from ts_shape_server.agent.infer.pipeline import report_class

__all__ = ["Parents", "consulted", "report_class"]
