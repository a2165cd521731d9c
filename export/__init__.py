"""Export: trained models → verified ONNX bundles. Nothing is written that has not been compared with the model."""
