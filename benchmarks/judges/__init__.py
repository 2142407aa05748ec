"""Judges: programs that hold the product's answers against those that a person would give."""
