"""Facts of the Sloan Digital Sky Survey: keys, classes, magnitudes, eras, features, dialects."""
