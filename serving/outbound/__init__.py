"""Webhooks on their way to receivers."""
