"""In what order samples come."""
