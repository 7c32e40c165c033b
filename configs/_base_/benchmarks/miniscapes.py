# The embedded benchmark: procedural street scenes, drawn on first use into data/miniscapes.
# Source clear; unseen targets overcast, night, fog, rain, snow. 19 Cityscapes classes.
benchmark = 'miniscapes'
