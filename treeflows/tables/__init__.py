"""Tables to codes and back."""
