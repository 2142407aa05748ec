"""Repair: over the corpus, of the classes that run and do not script, how many failures are located and repaired."""
