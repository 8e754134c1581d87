"""Alembic migrations of the state's database."""
