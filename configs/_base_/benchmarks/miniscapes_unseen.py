# MiniScapes with four unseen classes: training ignores sidewalk, vegetation, bus and bicycle, the
# test has all 19. Source clear; unseen targets overcast, night, fog, rain, snow.
benchmark = 'miniscapes_unseen'
