"""What changed between what was last said of a customer and what is known now."""
