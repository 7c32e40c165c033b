"""Contrastive pretraining of a small image tower and a small text tower with generated captions."""
