"""emokit: multi-corpus speech emotion recognition from the shell."""

__version__ = "0.1.0"
