"""Classifiers that are computed from features, not trained. torch alone: no other room is known here."""
