"""What can be asked of any density over codes."""
