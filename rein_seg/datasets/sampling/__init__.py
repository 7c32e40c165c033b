"""The order of samples: endless seeded streams, and rare class sampling."""
