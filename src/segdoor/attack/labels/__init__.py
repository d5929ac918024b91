"""What labels become: one file a kind of change."""
