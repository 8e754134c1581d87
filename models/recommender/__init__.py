"""Recommendations: which items to offer to whom, each with its reason."""
