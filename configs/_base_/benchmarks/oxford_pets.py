# Oxford-IIIT Pets: 37 breeds of cats and dogs. 37 classes, 16 images of each train. Data in data/Oxford-IIIT_Pets.
#   another number: --cfg-options train_dataloader.dataset.shots=4 train_dataloader.dataset.shot_seed=2
benchmark = 'oxford_pets'
