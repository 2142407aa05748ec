"""What TorchScript makes of a class: examination, trial of a changed source, export, and its verification."""

from ts_shape_server.agent.script.examine import examine

__all__ = ["examine"]
