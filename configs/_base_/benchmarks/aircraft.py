# FGVC-Aircraft: 100 variants; 50 train, the other 50 are searched. Data in data/fgvc-aircraft-2013b.
benchmark = 'aircraft'
