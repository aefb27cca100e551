"""What brings claims in."""
