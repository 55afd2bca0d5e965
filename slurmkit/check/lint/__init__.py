"""Says what is wrong with anybody's sbatch script, without running it."""
