"""Slurm's own language, typed: times, memory, node lists, expressions and the option table."""
