"""Runs a module, on fake tensors, on symbols or on real ones, and keeps what a run shows.

The only room that knows torch's ways of running without memory. Knows guesses, and nothing of how they are made.
"""
