"""The defender's bench: any method of defense, measured on a finished run beside its controls."""
