"""Delivering: scoring runs, the score store, the API and the console."""
