"""Whether the classifier still sees the sky it was trained on."""
