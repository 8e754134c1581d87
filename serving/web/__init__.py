"""What every call passes: its id, its key, its limits, its log, its answer."""
