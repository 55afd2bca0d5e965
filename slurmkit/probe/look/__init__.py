"""What a node sees of itself and of the others: facts, not yet judged."""
