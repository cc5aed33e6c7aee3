"""Learning from speech without labels."""
