"""Commands killed at random moments: what is lost, and what is asked for twice."""
