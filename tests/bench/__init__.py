"""Ratios of one run, printed as a table: ``python -m tests.bench``."""
