"""What is told of a class: names and spellings, layers and variables, reasons and advice, contradictions.

Makes the objects of the contract from what the rooms below found.
"""
