"""Using a trained model outside of experiments."""
