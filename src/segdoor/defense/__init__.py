"""The defender: sees a model and some clean data, never the trigger."""
