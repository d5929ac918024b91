"""3. The model: an innocent trainer who does not know."""
