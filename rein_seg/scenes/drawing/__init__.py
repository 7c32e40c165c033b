"""What the data sets that are drawn have in common. Needs NumPy and OpenCV only."""
