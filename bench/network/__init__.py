"""A network as all others see it: a module cut into units that can be frozen. torch lives here, and no catalogue."""
