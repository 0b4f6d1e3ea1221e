"""Pages for people, and how well a model tells rows that it has not seen."""
