"""The predictor: serves a release over V1, V2 and gRPC, and logs every prediction."""
