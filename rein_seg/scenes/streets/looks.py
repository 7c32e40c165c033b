"""The look of each domain: light, weather, ground colours and camera.

Colours are BGR, 0..255. A pair (low, high) is a range that a scene draws from uniformly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Colour = tuple[float, float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """Light, weather, ground colours and camera of a domain.

    Args:
        sky_top: Colour of the sky overhead.
        sky_low: Colour of the sky at the horizon.
        clouds: Cover with clouds, 0..1.
        haze: Colour that far things fade to.
        haze_density: Extinction in 1/m.
        ambient: Light that reaches every face, as a factor.
        sun: Light that only faces towards the sun get; 0 means no cast shadows.
        sun_height: Height of the sun as the tangent of its angle.
        lamps: Whether street lamps, head lamps and windows are lit.
        wet: Mirroring of the ground, 0..1.
        snow: Amount of snow on the ground, 0..1.
        streaks: Rain streaks per 10000 pixels.
        flakes: Snow flakes per 10000 pixels.
        drops: Chance that drops sit on the lens.
        texture: Strength of surface texture, 1 is natural.
        saturation: Factor on the colour saturation.
        gain: Exposure factor.
        gamma: Exponent of the tone curve; below 1 brightens the dark parts.
        tint: Factor on each of the channels B, G, R.
        noise: Sensor noise in grey levels.
        blur: Blur of the lens, sigma in pixels at 256 columns.
        vignette: Darkening of the corners, 0..1.
        jpeg: JPEG quality of the camera, or None for a clean picture.
        road, walk, grass: Colours of asphalt, pavement and terrain.
    """

    sky_top: Colour
    sky_low: Colour
    clouds: Range
    haze: Colour
    haze_density: Range
    ambient: float
    sun: Range
    sun_height: Range = (0.5, 1.6)
    lamps: bool = False
    wet: Range = (0.0, 0.0)
    snow: Range = (0.0, 0.0)
    streaks: Range = (0.0, 0.0)
    flakes: Range = (0.0, 0.0)
    drops: float = 0.0
    texture: float = 1.0
    saturation: Range = (1.0, 1.0)
    gain: Range = (0.95, 1.05)
    gamma: Range = (1.0, 1.0)
    tint: tuple[Range, Range, Range] = ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0))
    noise: Range = (0.0, 0.5)
    blur: Range = (0.0, 0.0)
    vignette: Range = (0.0, 0.1)
    jpeg: tuple[int, int] | None = None
    road: Colour = (96, 92, 90)
    walk: Colour = (150, 156, 166)
    grass: Colour = (56, 132, 92)


# the source: vivid, sharp, without noise, as in a computer game
CLEAR = Look(
    sky_top=(225, 150, 70),
    sky_low=(250, 222, 185),
    clouds=(0.0, 0.55),
    haze=(246, 226, 200),
    haze_density=(0.0008, 0.002),
    ambient=0.66,
    sun=(0.4, 0.55),
    texture=0.55,
    saturation=(1.15, 1.4),
    noise=(0.0, 1.0),
)

OVERCAST = Look(
    sky_top=(205, 198, 192),
    sky_low=(226, 224, 222),
    clouds=(0.6, 1.0),
    haze=(214, 211, 208),
    haze_density=(0.003, 0.007),
    ambient=0.84,
    sun=(0.0, 0.06),
    texture=1.5,
    saturation=(0.42, 0.65),
    gain=(0.88, 1.12),
    gamma=(0.88, 1.08),
    tint=((0.98, 1.08), (0.98, 1.04), (0.92, 1.0)),
    noise=(2.5, 5.0),
    blur=(0.3, 0.6),
    vignette=(0.1, 0.3),
    jpeg=(45, 80),
    road=(98, 98, 98),
    walk=(136, 138, 142),
    grass=(62, 104, 90),
)

NIGHT = Look(
    sky_top=(34, 20, 14),
    sky_low=(58, 42, 40),
    clouds=(0.0, 0.5),
    haze=(52, 40, 40),
    haze_density=(0.003, 0.008),
    ambient=0.2,
    sun=(0.0, 0.0),
    lamps=True,
    wet=(0.0, 0.25),
    texture=1.1,
    saturation=(0.7, 1.0),
    gain=(0.75, 1.15),
    gamma=(0.85, 1.1),
    tint=((0.62, 0.85), (0.84, 0.96), (1.0, 1.18)),
    noise=(4.0, 9.0),
    blur=(0.3, 0.7),
    vignette=(0.2, 0.45),
    jpeg=(50, 85),
)

# visibility of about 100 m: extinction 0.03 leaves 5 % of the contrast there
FOG = replace(
    OVERCAST,
    sky_top=(206, 203, 200),
    sky_low=(216, 214, 212),
    clouds=(0.0, 0.2),
    haze=(214, 212, 210),
    haze_density=(0.02, 0.045),
    ambient=0.85,
    texture=1.1,
    saturation=(0.5, 0.8),
    gain=(0.8, 1.0),
    noise=(1.0, 3.0),
    blur=(0.3, 0.7),
)

RAIN = replace(
    OVERCAST,
    sky_top=(128, 120, 114),
    sky_low=(168, 160, 154),
    clouds=(0.7, 1.0),
    haze=(152, 146, 140),
    haze_density=(0.006, 0.013),
    ambient=0.74,
    wet=(0.55, 0.9),
    streaks=(12.0, 40.0),
    drops=0.5,
    texture=1.0,
    saturation=(0.55, 0.85),
    gain=(0.85, 1.1),
    gamma=(0.85, 1.0),
    noise=(1.5, 4.0),
    blur=(0.35, 0.8),
    road=(74, 72, 70),
    walk=(110, 110, 114),
)

SNOW = replace(
    OVERCAST,
    sky_top=(226, 220, 214),
    sky_low=(236, 233, 230),
    clouds=(0.3, 0.8),
    haze=(232, 228, 224),
    haze_density=(0.006, 0.014),
    ambient=0.9,
    snow=(0.55, 1.0),
    flakes=(6.0, 36.0),
    drops=0.15,
    texture=1.0,
    saturation=(0.45, 0.75),
    gain=(0.9, 1.08),
    tint=((1.0, 1.08), (0.98, 1.02), (0.92, 1.0)),
    noise=(1.0, 3.0),
    blur=(0.2, 0.6),
)
