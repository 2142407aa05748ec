"""Constructor arguments: those that are known, those that are guessed, and the moves that change them; the instance.

Knows nothing of inputs.
"""
