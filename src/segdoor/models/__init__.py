"""Built-in trained models, so that defenses can be tried at once."""
