"""Words for the things of a street: names of classes, subtypes and colours, and their synonyms."""

from __future__ import annotations

from rein_seg.scenes.streets import labels

# (one, several) of each class, Cityscapes' name first; several is '' for what is not counted
NOUNS: dict[int, tuple[tuple[str, str], ...]] = {
    labels.ROAD: (('road', ''), ('street', ''), ('roadway', ''), ('asphalt', '')),
    labels.SIDEWALK: (('sidewalk', ''), ('pavement', ''), ('footpath', ''), ('walkway', '')),
    labels.BUILDING: (('building', 'buildings'),),
    labels.WALL: (('wall', 'walls'),),
    labels.FENCE: (('fence', 'fences'),),
    labels.POLE: (('pole', 'poles'), ('column pole', 'column poles')),
    labels.LIGHT: (('traffic light', 'traffic lights'), ('traffic signal', 'traffic signals')),
    labels.SIGN: (
        ('traffic sign', 'traffic signs'),
        ('road sign', 'road signs'),
        ('sign', 'signs'),
        ('sign symbol', 'sign symbols'),
        ('signsymbol', ''),
        ('signboard', 'signboards'),
    ),
    labels.PLANT: (('vegetation', ''), ('greenery', ''), ('foliage', ''), ('plant', 'plants')),
    labels.TERRAIN: (('terrain', ''), ('grass', ''), ('lawn', ''), ('ground', ''), ('earth', '')),
    labels.SKY: (('sky', ''),),
    labels.PERSON: (('person', 'people'), ('pedestrian', 'pedestrians'), ('human', 'humans')),
    labels.RIDER: (('rider', 'riders'),),
    labels.CAR: (('car', 'cars'), ('automobile', 'automobiles')),
    labels.TRUCK: (('truck', 'trucks'), ('lorry', 'lorries')),
    labels.BUS: (('bus', 'buses'),),
    labels.TRAIN: (('train', 'trains'), ('tram', 'trams'), ('streetcar', 'streetcars')),
    labels.MOTORCYCLE: (('motorcycle', 'motorcycles'), ('motorbike', 'motorbikes')),
    labels.BICYCLE: (('bicycle', 'bicycles'), ('bike', 'bikes')),
}
# (one, several) of each subtype, by train id and the kind that `thing_of` tells
KINDS: dict[tuple[int, str], tuple[tuple[str, str], ...]] = {
    (labels.BUILDING, 'house'): (('house', 'houses'),),
    (labels.BUILDING, 'shop'): (('shop', 'shops'), ('store', 'stores')),
    (labels.BUILDING, 'tower'): (('tall building', 'tall buildings'), ('tower', 'towers')),
    (labels.FENCE, 'railing'): (('railing', 'railings'),),
    (labels.FENCE, 'mesh'): (('wire fence', 'wire fences'), ('mesh fence', 'mesh fences')),
    (labels.FENCE, 'planks'): (('wooden fence', 'wooden fences'),),
    (labels.FENCE, 'guardrail'): (('guard rail', 'guard rails'), ('guardrail', 'guardrails')),
    (labels.POLE, 'lamp'): (
        ('street lamp', 'street lamps'),
        ('lamp post', 'lamp posts'),
        ('street light', ''),
    ),
    (labels.POLE, 'bollard'): (('bollard', 'bollards'),),
    (labels.POLE, 'post'): (('post', 'posts'),),
    (labels.PLANT, 'tree'): (('tree', 'trees'),),
    (labels.PLANT, 'leafy'): (('leafy tree', 'leafy trees'), ('broadleaf tree', 'broadleaf trees')),
    (labels.PLANT, 'conifer'): (
        ('conifer', 'conifers'),
        ('fir tree', 'fir trees'),
        ('fir', 'firs'),
    ),
    (labels.PLANT, 'bush'): (('bush', 'bushes'), ('shrub', 'shrubs')),
    (labels.PLANT, 'hedge'): (('hedge', 'hedges'),),
    (labels.PERSON, 'umbrella'): (('person with an umbrella', 'people with umbrellas'),),
    (labels.RIDER, 'cyclist'): (('cyclist', 'cyclists'), ('bicyclist', 'bicyclists')),
    (labels.RIDER, 'motorcyclist'): (('motorcyclist', 'motorcyclists'), ('biker', 'bikers')),
    (labels.CAR, 'sedan'): (('sedan', 'sedans'), ('saloon', 'saloons')),
    (labels.CAR, 'hatch'): (('hatchback', 'hatchbacks'),),
    (labels.CAR, 'estate'): (('estate car', 'estate cars'), ('station wagon', 'station wagons')),
    (labels.CAR, 'suv'): (('suv', 'suvs'), ('jeep', 'jeeps')),
    (labels.CAR, 'van'): (('van', 'vans'), ('minivan', 'minivans')),
    (labels.TRUCK, 'box'): (('box truck', 'box trucks'), ('delivery truck', 'delivery trucks')),
    (labels.TRUCK, 'tipper'): (('tipper', 'tippers'), ('dump truck', 'dump trucks')),
    (labels.TRUCK, 'semi'): (('semi truck', 'semi trucks'), ('trailer truck', 'trailer trucks')),
    (labels.BUS, 'city'): (('city bus', 'city buses'),),
    (labels.BUS, 'coach'): (('coach', 'coaches'), ('tour bus', 'tour buses')),
    (labels.BUS, 'double'): (('double decker', 'double deckers'), ('double decker bus', '')),
    (labels.MOTORCYCLE, 'parked'): (('parked motorcycle', 'parked motorcycles'),),
    (labels.BICYCLE, 'parked'): (('parked bicycle', 'parked bicycles'), ('parked bike', '')),
}
ALSO = {'conifer': ('tree',), 'tree': ('leafy',)}  # kinds that a kind is, too
COLOURED = {
    labels.PERSON,
    labels.CAR,
    labels.TRUCK,
    labels.BUS,
    labels.TRAIN,
    labels.MOTORCYCLE,
    labels.BICYCLE,
}
COLOURS = ('black', 'grey', 'white', 'red', 'orange', 'yellow', 'green', 'blue', 'purple')
WEATHER = {
    'night': ('at night', 'in the dark', 'on a dark night'),
    'fog': ('in fog', 'on a foggy day', 'in mist', 'in the haze'),
    'rain': ('in the rain', 'on a rainy day', 'on a wet day'),
    'snow': ('in the snow', 'on a snowy day', 'in winter'),
    'sun': ('in the sun', 'on a sunny day', 'in sunshine', 'on a clear day'),
    'clouds': ('on a cloudy day', 'under an overcast sky', 'on a grey day'),
}
PLACES = {
    'left': ('on the left', 'at the left', 'on the left side'),
    'right': ('on the right', 'at the right', 'on the right side'),
    'middle': ('in the middle', 'in the center', 'straight ahead'),
    'near': ('nearby', 'in front', 'close to the camera', 'in the foreground'),
    'far': ('far away', 'in the distance', 'in the background', 'behind'),
}
COUNTS = {2: ('two', 'a pair of'), 3: ('three', 'several'), 4: ('four', 'several', 'some')}
MANY = ('many', 'lots of', 'a row of')
# sentences around a thing; ZegCLIP's, ViLD's and more
FRAMES = (
    '{}',
    '{}',
    '{}',
    'a photo of {}',
    'a photo of {}',
    'a picture of {}',
    'an image of {}',
    'this is {}',
    'there is {} in the scene',
    '{} in the scene',
    'a photo of {} in the scene',
    'this is a photo of {}',
    'a drawing of {}',
    'a view of {}',
    'a crop with {}',
    '{} of a city',
    'a small photo of {}',
    'a medium photo of {}',
    'a large photo of {}',
)
DETERMINERS = ('', '', 'a', 'a', 'the', 'one', 'my')
NOTHING = 'nothing'  # the caption of a crop of the own car's hood
JOINTS = ('and', 'with', 'beside', 'next to', 'and')


def _all_words() -> tuple[str, ...]:
    pairs = [pair for table in (NOUNS, KINDS) for listed in table.values() for pair in listed]
    texts = [noun for pair in pairs for noun in pair]
    texts += [text for table in (WEATHER, PLACES, COUNTS) for row in table.values() for text in row]
    texts += [*COLOURS, *MANY, *FRAMES, *DETERMINERS, *JOINTS, NOTHING, 'an', 'in']
    return tuple(sorted({word for text in texts for word in text.replace('{}', '').split()}))


WORDS = _all_words()
