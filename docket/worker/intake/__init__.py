"""Intake: the loops that bring tasks to a worker, and end first when it stops."""
