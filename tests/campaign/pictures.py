"""Images, labels and listings: damaged, hostile, unusual, or other than they seem."""

from __future__ import annotations

from collections.abc import Iterator

from tests.campaign import picture_images, picture_labels, picture_listings
from tests.campaign.case import Case

KIND = 'images, labels and listings'


def cases() -> Iterator[Case]:
    """Yields the cases."""
    for module in (picture_images, picture_labels, picture_listings):
        yield from module.cases()
