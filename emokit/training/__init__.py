"""Fitting models: one readable loop, run folders, checkpoints, scoring."""
