"""Looks at the nodes of a job before it trains, and says what is wrong with them.

It travels inside the batch script and runs where no slurmkit is: on the host, and on each node
under the job's own Python. So it needs the standard library only, of Python 3.8 or newer, imports
nothing else of slurmkit, and torch in one file only (rank.py), in a process of its own.
"""
