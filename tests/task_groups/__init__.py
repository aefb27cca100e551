"""Task groups as users hold them. The rows of the table in docs/task-groups.md are cited as G1, G2, ..."""
