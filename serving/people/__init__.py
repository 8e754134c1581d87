"""Persons and their rights: who is known, suppressed, given their data, erased."""
