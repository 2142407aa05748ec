"""What is known of a class before anything is guessed, each fact with its source.

From pragmas, documentation, annotations, the body, calls, loaders, factories and parents. A fact is a proposal that
runs confirm.
"""
