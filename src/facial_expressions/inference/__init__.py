"""Recognition: images to faces with expressions, on ONNX Runtime and Pillow alone."""
