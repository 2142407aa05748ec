"""Measurements that are too long for a test: each folder is a program that prints a table and writes JSON lines."""
