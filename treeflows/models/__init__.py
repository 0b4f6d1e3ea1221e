"""Estimators: a domain and a density over its codes."""
