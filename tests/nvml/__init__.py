"""The stand-in for NVIDIA's management library, in C, for the real pynvml to load."""
