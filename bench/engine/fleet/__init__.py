"""Many trainings in one loop."""
