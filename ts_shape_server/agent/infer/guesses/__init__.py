"""What an input may be, as data: trees of tensors, containers and constants, and the values they are spelled from.

The vocabulary of all rooms above. Decides nothing and runs nothing.
"""
