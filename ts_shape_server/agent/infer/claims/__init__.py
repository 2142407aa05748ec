"""From one find to a claim of all sizes and values: which dims are free, in which range, under which conditions.

Torch's guards propose, runs decide. Knows nothing of names.
"""
