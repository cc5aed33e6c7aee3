"""Packaged settings: each file is a `--config` file that a backbone or `--preset` names."""
