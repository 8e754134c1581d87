"""Benchmarks: speed, memory and quality, measured the same way every time."""
