"""The real parts the tests run against: engine, registry, and an image with TensorFlow 1.15."""
