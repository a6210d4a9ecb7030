"""Which release is champion: on one machine, and as a KServe InferenceService."""
