"""What a worker logs and emits."""
