"""Faults on purpose, by one command each; the README beside this package's folder has the table."""
