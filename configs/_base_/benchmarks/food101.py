# Food-101. 101 classes, 16 images of each train. Data in data/food-101.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'food101'
