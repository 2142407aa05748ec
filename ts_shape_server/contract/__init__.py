"""What crosses between the server and the agent, and the JSON of the command line: one declaration for both sides.

Runs in the user's interpreter too: the standard library alone, written and run by Python 3.9. It knows neither side.
"""
