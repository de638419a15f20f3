"""The ground floor: pure values that every room may import. Nothing here imports another room but `keys`, or torch."""
