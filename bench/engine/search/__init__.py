"""The search for hyperparameters. Start reading at `run.py`."""
