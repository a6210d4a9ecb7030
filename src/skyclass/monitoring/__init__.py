"""Drift detection, accuracy of past windows, and retraining decisions."""
