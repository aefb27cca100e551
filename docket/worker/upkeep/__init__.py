"""What keeps a worker's claims and its name alive."""
