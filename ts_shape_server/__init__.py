"""A language server that tells what goes into an `nn.Module` and what comes out. Imports nothing: the agent loads it too."""

__version__ = "0.1.0"
