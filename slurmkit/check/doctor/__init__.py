"""Names the first cause of a job's death from what it left: logs, events, Slurm's word."""
