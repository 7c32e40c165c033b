# Drawn vehicles of 16 subtypes, drawn on first use into data/minivehicles. Source clear; unseen targets
# overcast, night, fog, rain, snow. A few images of each class: train_dataloader.dataset.shots=4
benchmark = 'minivehicles'
