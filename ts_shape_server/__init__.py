"""A language server that tells what goes into an `nn.Module` and what comes out.

Imports nothing: the agent loads this package in an interpreter that has none of the server's dependencies.
"""

__version__ = "0.1.0"
