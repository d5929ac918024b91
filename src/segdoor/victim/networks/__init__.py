"""The networks: one kind a file."""
