"""The ground floor: pure values that every room may import. Nothing here imports another room, or torch."""
