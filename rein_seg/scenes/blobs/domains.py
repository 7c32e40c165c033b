"""The domains: surroundings of the blobs, their camouflage, light and camera.

A pair (low, high) is a range that a picture draws from uniformly. Colours are BGR, 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[float, float]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Ranges of a domain.

    Args:
        ground: tissue or leaves.
        colours: Ends of the ranges of the ground's colour; each picture mixes two of its own.
        mottle: Variation of colour within a picture.
        detail: Strength of details that blobs lack: vessels, or single leaves.
        lumen: Chance of a view along the tube instead of onto its wall.
        fold: Height of folds, in sides of the picture.
        decoys: Largest number of soft swellings and stains that are no blobs.
        radius: Radius of a blob, in sides; drawn uniformly in its logarithm.
        counts: Weights of one, two and three blobs.
        dome: Height of a blob as a share of its radius.
        cloak: Difference between the colours of a blob and its surroundings.
        patterns: Weights of a blob's texture: pits, coils, grain, patches.
        pattern: Strength of that texture.
        edge: Width in radii over which a blob's colour sets in.
        gloss: Strength of highlights.
        spot: Radius of the light's cone, in sides.
        exposure: Mean brightness, 0..1.
        tint: Factors of blue, green and red.
        saturation: 0 is grey, 1 keeps the colours.
        gamma: Exponent of the tone curve.
        vignette: Darkening of the corners.
        noise: Deviation of the sensor noise, in grey levels.
        blur: Blur, in pixels of a picture of 128x128.
        jpeg: JPEG quality.
        aperture: Chance of a black frame around the view.
    """

    ground: str = 'tissue'
    colours: tuple[Colour, Colour] = ((0.20, 0.27, 0.66), (0.42, 0.50, 0.84))
    mottle: Range = (0.08, 0.25)
    detail: Range = (0.25, 0.75)
    lumen: float = 0.45
    fold: Range = (0.015, 0.045)
    decoys: int = 3
    radius: Range = (0.09, 0.3)
    counts: tuple[float, float, float] = (0.6, 0.28, 0.12)
    dome: Range = (0.25, 0.7)
    cloak: Range = (0.0, 0.15)
    patterns: tuple[float, float, float, float] = (0.33, 0.34, 0.33, 0.0)
    pattern: Range = (0.10, 0.30)
    edge: Range = (0.03, 0.2)
    gloss: Range = (0.3, 1.0)
    spot: Range = (0.55, 1.0)
    exposure: Range = (0.36, 0.50)
    tint: tuple[Range, Range, Range] = ((0.9, 1.1), (0.95, 1.05), (0.95, 1.05))
    saturation: Range = (0.85, 1.1)
    gamma: Range = (0.9, 1.1)
    vignette: Range = (0.1, 0.45)
    noise: Range = (1.0, 3.5)
    blur: Range = (0.0, 0.6)
    jpeg: tuple[int, int] = (75, 96)
    aperture: float = 0.35


_TISSUE = Look()
_TABLE = {
    'tissue': _TISSUE,
    # another organ and another light: narrow-band imaging, flat lesions
    'pale': replace(
        _TISSUE,
        colours=((0.40, 0.50, 0.52), (0.62, 0.68, 0.70)),
        detail=(0.15, 0.5),
        lumen=0.2,
        radius=(0.09, 0.32),
        dome=(0.08, 0.35),
        patterns=(0.2, 0.2, 0.6, 0.0),
        pattern=(0.07, 0.2),
        exposure=(0.52, 0.66),
        tint=((0.98, 1.18), (0.98, 1.1), (0.86, 0.98)),
        saturation=(0.6, 1.0),
        gloss=(0.1, 0.6),
        aperture=0.2,
    ),
    'dark': replace(
        _TISSUE,
        colours=((0.12, 0.17, 0.50), (0.26, 0.33, 0.66)),
        lumen=0.7,
        radius=(0.08, 0.24),
        gloss=(0.5, 1.2),
        spot=(0.35, 0.65),
        exposure=(0.16, 0.26),
        gamma=(1.0, 1.3),
        vignette=(0.4, 0.8),
        noise=(2.5, 5.0),
        aperture=0.7,
    ),
    'noisy': replace(
        _TISSUE,
        counts=(0.4, 0.35, 0.25),
        radius=(0.08, 0.26),
        decoys=5,
        noise=(6.0, 13.0),
        blur=(0.4, 1.1),
        jpeg=(25, 50),
        saturation=(0.5, 0.85),
        exposure=(0.34, 0.55),
        aperture=0.6,
    ),
    # camouflage: animals on the forest floor
    'leafy': replace(
        _TISSUE,
        ground='leaves',
        colours=((0.10, 0.22, 0.26), (0.26, 0.48, 0.56)),
        mottle=(0.1, 0.25),
        detail=(0.8, 1.1),
        radius=(0.1, 0.32),
        counts=(0.8, 0.15, 0.05),
        dome=(0.3, 0.8),
        patterns=(0.2, 0.2, 0.2, 0.4),
        pattern=(0.25, 0.5),
        cloak=(0.0, 0.2),
        gloss=(0.0, 0.15),
        spot=(0.9, 2.0),
        exposure=(0.34, 0.48),
        vignette=(0.0, 0.3),
        aperture=0.0,
    ),
}

DOMAINS = tuple(_TABLE)


def look_of(name: str) -> Look:
    """Returns the look of a known domain."""
    return _TABLE[name]
