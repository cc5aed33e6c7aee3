"""What frozen states and clusters carry: emotion, speaker, corpus, gender."""
