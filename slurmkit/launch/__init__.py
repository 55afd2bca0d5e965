"""A `JobSpec` becomes a running job: one sibling a back end."""
