"""The rules' code: a file a subject; each function yields what it found for one code."""
