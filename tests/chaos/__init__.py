"""Kills training runs at random moments, resumes them, and compares them with whole runs."""
