"""What can be read of jobs: status, logs, metrics."""
