"""A job as text: the batch script. Pure functions: the same job gives the same bytes."""
