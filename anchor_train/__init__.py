"""Aligning language models so that they explain themselves better."""
