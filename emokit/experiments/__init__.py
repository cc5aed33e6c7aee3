"""Protocols over several fitted models."""
