"""Train ids of the 19 Cityscapes classes, by name."""

from __future__ import annotations

ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, PLANT, TERRAIN = range(10)
SKY, PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = range(10, 19)
NUM_CLASSES = 19
IGNORE = 255
