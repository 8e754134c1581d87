"""Ready formats: each module reads one shop system's export and returns a `features.drafts.Draft`."""
