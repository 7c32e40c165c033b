"""Code that methods share: low-rank updates, tokens, mixtures, bottlenecks, spectra, stages."""
