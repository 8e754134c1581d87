"""A made-up shop of any size whose truth is known: every rate, death, taste, pair and response behind it."""
