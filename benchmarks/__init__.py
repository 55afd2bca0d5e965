"""The speed bars: each file here measures one, says its bar, and exits 1 when over it."""
