"""Where a trigger goes: one kind a file."""
