# Cars-196: 196 models of cars; 98 train, the other 98 are searched. Data in data/stanford_cars.
benchmark = 'cars196'
