"""Speed and memory, side by side with what limits them: ``make bench``. Never asserted in tests."""
