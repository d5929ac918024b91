"""3. The victim: an innocent trainer who knows nothing of the attack."""
