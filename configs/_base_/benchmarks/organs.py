# The embedded benchmark of volumes: procedural CT slices, drawn on first use into data/organs.
# Source standard; unseen targets low_dose, native, wide, soft. Five organs and the background.
benchmark = 'organs'
