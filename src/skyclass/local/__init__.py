"""Runs everything on one machine: an embedded S3 server, a predictor process, and the demo."""
