"""The predictor: requests in, classes out, every answer logged."""
