"""A WAP-Transformer on a frozen encoder, learnt without labels (local attributes)."""
