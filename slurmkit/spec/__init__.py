"""What a job is: the job file, read, merged with its profile and checked."""
