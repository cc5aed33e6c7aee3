"""Facts about corpora and labels, as data."""
