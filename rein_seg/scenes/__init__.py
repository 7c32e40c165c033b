"""Drawn worlds: pictures and labels made by a program. Needs NumPy and OpenCV only."""
