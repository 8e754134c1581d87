"""Scoring: champions and a snapshot in, the rows of a run out."""
