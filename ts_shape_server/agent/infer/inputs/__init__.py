"""Inputs for which an instance runs: where to start, the search and its moves, and which of several finds is meant."""
