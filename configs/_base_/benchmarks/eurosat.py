# EuroSAT: land use in images of Sentinel-2, RGB. 10 classes, 16 images of each train. Data in data/eurosat.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'eurosat'
