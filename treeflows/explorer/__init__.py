"""A page on which a model answers: every column's distribution, and what evidence makes of it."""
