"""What a saved file holds, and what goes into the module in it: named by its bytes, solved by the same engine."""

from ts_shape_server.agent.saved.inspection import inspect

__all__ = ["inspect"]
