"""Models for elsewhere: merged, in another layout, counted."""
