"""Models built from a config: the backbone with its method, and the segmentor around it."""
