"""What outlives score runs: API keys. In a SQLite file of its own, in full sync."""
