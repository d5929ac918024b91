"""3. The victim: an innocent trainer who does not know."""
