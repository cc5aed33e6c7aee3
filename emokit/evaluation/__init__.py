"""Numbers from tables of predictions; imports neither torch nor models."""
