"""Back-ups as folders, and the list of where they lie."""
