"""One ONNX file a network: written, read, which is best, and when it leaves a slide undecided."""
