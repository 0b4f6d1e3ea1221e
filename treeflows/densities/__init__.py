"""Distributions over codes."""
