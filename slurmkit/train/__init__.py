"""What runs on the nodes: entrypoints, and the parts that they share. Imports no torch."""
