"""Upkeep: the loops that keep claims and the worker's name alive, and end last when it stops."""
