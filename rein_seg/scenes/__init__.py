"""Drawn worlds: pictures and labels made by a program, for tests and demos without downloads.

Needs NumPy and OpenCV only.
"""
