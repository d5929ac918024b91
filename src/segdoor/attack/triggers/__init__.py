"""What is put into images: one kind a file."""
