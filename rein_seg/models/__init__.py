"""What a config builds: the backbone with its method, and the segmentor around it."""
