"""Random draws, noise and the cache, shared by all drawn worlds. Needs NumPy and OpenCV only."""
