"""From JSONL files to batches: read, render, tokenise once, pack, order, collate."""
