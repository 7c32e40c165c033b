# MiniScapes with two tasks of the same scenes: semantic (19 classes) and road (road against the rest).
# Source clear; unseen targets overcast, night, fog, rain, snow.
benchmark = 'miniscapes_tasks'
