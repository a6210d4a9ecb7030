"""Explanations of predictions: what each input contributed to the probabilities of an object."""
