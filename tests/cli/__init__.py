"""Tests of the command line as a tired person uses it."""
