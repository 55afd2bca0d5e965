"""What the facts mean: pure functions from what all nodes have said to cells and findings."""
