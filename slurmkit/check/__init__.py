"""Findings: what is wrong with a script, with nodes, with a run."""
