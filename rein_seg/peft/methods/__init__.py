"""One method a file; none knows another."""
