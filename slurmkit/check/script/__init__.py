"""Reads anybody's sbatch script: its directives, its commands and where they run, its launches."""
