"""How much of a corpus of modules that nobody prepared the tool can answer, how right it is, and what it costs."""
