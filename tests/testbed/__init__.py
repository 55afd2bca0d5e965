"""A real Slurm on this one machine, for tests: real hosts, real daemons, nothing left behind.

Every bed lives in namespaces of its own (network, processes, mounts, host names), so it touches
no Slurm, MariaDB or munge of the machine, several beds do not meet, and the kernel takes all of it
down when its first process ends. `python -m tests.testbed` is the command line.
"""
