"""What is promised about predictions: label sets, purity cuts and the domain of a release."""
