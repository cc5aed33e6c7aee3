"""Files and waveforms."""
