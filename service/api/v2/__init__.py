"""Open Inference Protocol v2, with its binary tensor extension: what clients of KServe, Triton and MLServer speak."""
