# SUN397: scenes; the first of its ten divisions. 397 classes, 16 images of each train. Data in data/SUN397.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'sun397'
