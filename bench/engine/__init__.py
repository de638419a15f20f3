"""Trains what a plan asks for. From the ground up: `train`, `common`, `reuse`, `fleet`, `search`, `jobs`."""
