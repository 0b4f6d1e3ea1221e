"""How densities come from rows."""
