"""The protocols of this package: a file a family, each with ``PROTOCOLS``, name -> `Protocol`."""
