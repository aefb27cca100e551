"""The commands of the in-process server, a module per family."""
