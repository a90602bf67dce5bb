"""The Open Inference Protocol v2, over HTTP and gRPC: what KServe's and Triton's clients speak."""
