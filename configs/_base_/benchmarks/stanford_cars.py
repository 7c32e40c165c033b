# Stanford Cars: 196 models of cars. 196 classes, 16 images of each train. Data in data/Stanford_Cars.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'stanford_cars'
