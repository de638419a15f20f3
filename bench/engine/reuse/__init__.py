"""What cannot change is computed once: where a network is cut, and what is kept."""
