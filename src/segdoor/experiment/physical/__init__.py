"""The physical test of a run: its sticker, printed and put up in the test scenes."""
