# Retrieval of drawn vehicles by colour and subtype: 48 classes train, 48 others are tested. Source clear;
# unseen targets overcast, night, fog, rain, snow; the gallery of a query is its own domain.
benchmark = 'minivehicles_retrieval'
