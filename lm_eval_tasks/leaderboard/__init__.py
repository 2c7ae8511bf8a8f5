"""A static site that shows how runs compare: leaderboard, pages of models and pairs, sample browser."""
