"""One file per command: it reads its arguments' meaning, calls the rooms in order, and prints."""
