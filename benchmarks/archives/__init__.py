"""Saved modules: is what is solved from the archive alone what is reported of the class that was saved?"""
