"""Segments: their words, presets, saved ones, and what they know of a customer."""
