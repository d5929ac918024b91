"""What patch mining stands on: windows, what repeats among them, and the patch behind it."""
