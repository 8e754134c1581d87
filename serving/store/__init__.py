"""Where scores are kept: runs that are published whole, in SQLite or PostgreSQL."""
