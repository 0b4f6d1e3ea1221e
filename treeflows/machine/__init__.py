"""The ground, which knows nothing of tables or trees."""
