"""MiniVehicles as a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmseg.registry import DATASETS

from rein_seg.datasets.drawn_dataset import draw_first
from rein_seg.datasets.images import ImageDataset
from rein_seg.datasets.images.dataset import LabelledImage
from rein_seg.errors import UserError, near_misses
from rein_seg.scenes.vehicles import CLASSES, COLOURS, contents, ensure_cached


@DATASETS.register_module()
class VehiclesDataset(ImageDataset):
    """The embedded fine-grained set: a vehicle in a street, by subtype, or by colour and subtype.

    ``metainfo=dict(classes=...)`` takes other classes than the 16 subtypes: a name is a subtype or
    a colour and a subtype, such as ``red van``. Pictures of no class are left out.

    Args:
        domain: clear (the source), overcast, night, fog, rain or snow.
        split: train, val or test; no picture is in two splits.
        count: Number of pictures before any is left out; 96 have each colour and subtype once.
        size: (width, height) in pixels.
        data_root: Folder of the cache; made if missing.
        seed: Seed of the generator.
        **kwargs: As `ImageDataset`: metainfo, shots, shot_seed.

    Raises:
        UserError: As `ImageDataset`, or if a class is neither a subtype nor a colour and a subtype.

    Example:
        >>> from rein_seg.datasets import VehiclesDataset
        >>> options = dict(split='val', count=48, data_root='cache')
        >>> dataset = VehiclesDataset('fog', **options)
        >>> len(dataset), len(dataset.classes), dataset.get_data_info(4)['gt_label']
        (48, 16, 4)
        >>> vans = dict(classes=['red van', 'black van'])
        >>> VehiclesDataset('fog', metainfo=vans, **options).labels().tolist()
        [1, 0]
    """

    METAINFO = dict(classes=CLASSES)

    def __init__(
        self,
        domain: str,
        *,
        split: str,
        count: int,
        size: Sequence[int] = (96, 72),
        data_root: str = 'data/minivehicles',
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self._request = dict(domain=domain, split=split, count=count, seed=seed, size=tuple(size))
        super().__init__(domain, data_root=data_root, **kwargs)

    def lies_there(self) -> bool:
        """Says no: it draws its own pictures."""
        return False

    def images(self) -> list[LabelledImage]:
        """Draws missing pictures, then returns those of a class."""
        index = {name: k for k, name in enumerate(self.classes)}
        known = [*CLASSES, *(f'{colour} {subtype}' for colour in COLOURS for subtype in CLASSES)]
        for name in index:
            if name not in known:
                raise UserError(
                    f'domain {self.domain!r}: class {name!r} is not drawn: expected a subtype, '
                    f'such as van, or a colour and a subtype, such as red van; '
                    f'{near_misses(name, known)}'
                )
        folder = draw_first(ensure_cached, self.root, self._request)
        found = []
        for i in range(self._request['count']):
            label = next((index[name] for name in _names(i) if name in index), None)
            if label is None:
                self.left_out['pictures of no class'] += 1
                continue
            name = f'images/{i:05d}.png'
            found.append(LabelledImage(str(folder / name), name, label))
        return found


def _names(picture: int) -> Iterator[str]:
    """Yields the names of a picture's classes, the finest first."""
    subtype, colour = contents(picture)
    yield f'{colour} {subtype}'
    yield subtype
