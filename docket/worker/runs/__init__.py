"""One claim, from its reception to its settlement."""
