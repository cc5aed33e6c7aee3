"""From manifest rows to batches."""
