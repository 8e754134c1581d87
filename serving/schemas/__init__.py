"""The shapes of calls and answers."""
