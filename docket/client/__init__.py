"""What a program does with a docket: placing, following, asking."""
