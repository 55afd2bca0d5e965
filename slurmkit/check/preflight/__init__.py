"""Probes of the nodes before a job starts."""
