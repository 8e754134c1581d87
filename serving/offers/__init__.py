"""Recommendations as a call asks for them: chosen, ordered, written in rows."""
