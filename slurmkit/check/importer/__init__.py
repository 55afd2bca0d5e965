"""Turns somebody's sbatch script into a job file that starts the same program the same way."""
