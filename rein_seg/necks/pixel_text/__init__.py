"""DenseCLIP's neck: pixels compared with words, in front of a feature pyramid."""

from rein_seg.necks.pixel_text.decoder import ContextDecoder
from rein_seg.necks.pixel_text.neck import PixelTextNeck

__all__ = ['ContextDecoder', 'PixelTextNeck']
