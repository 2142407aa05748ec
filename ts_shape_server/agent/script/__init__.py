"""What TorchScript makes of a class: examination, trial of a changed source, export, and its verification."""

from ts_shape_server.agent.script.examination import examine
from ts_shape_server.agent.script.exporting import export
from ts_shape_server.agent.script.reporting import examined
from ts_shape_server.agent.script.support import supported
from ts_shape_server.agent.script.trials import trial
from ts_shape_server.agent.script.verification import verified, verify
from ts_shape_server.agent.script.warming import warm_up

__all__ = ["examine", "examined", "export", "supported", "trial", "verified", "verify", "warm_up"]
