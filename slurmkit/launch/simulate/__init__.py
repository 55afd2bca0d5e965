"""The rendered script, run over pretend nodes on this machine with stand-ins for Slurm's commands.

`plan` replaces what one machine cannot have, `run` plays slurmctld and slurmd, and the stand-ins
(`srun`, `scontrol`, `squeue`, `scancel`, `sbatch`) start from the script's PATH. What they import
is of the standard library, so that they start as fast as the real ones.
"""
