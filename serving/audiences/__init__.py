"""Named lists: their members, control groups, plans and outcomes."""
