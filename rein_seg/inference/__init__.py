"""Predicts images of a user with an adapter: files, folders, videos, rasters of any size."""
