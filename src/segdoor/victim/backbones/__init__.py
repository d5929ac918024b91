"""What a dilated network stands on: one kind a file."""
