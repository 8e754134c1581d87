"""Scoring on a Spark cluster: what is shipped to its workers, what they do, and who asks them."""
