"""The protocols of the predictor: KServe V1 and the Open Inference Protocol over REST and gRPC."""
