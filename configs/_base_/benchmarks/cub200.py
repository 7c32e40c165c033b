# CUB-200-2011: 200 species of birds; 100 train, the other 100 are searched. Data in data/CUB_200_2011.
benchmark = 'cub200'
