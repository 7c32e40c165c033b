"""Steps of a data pipeline: load, corrupt, crop, distort, resize and pack samples."""
