"""Explain-then-choose tasks for lm-evaluation-harness, their metrics, and comparisons between models."""
