"""Data sets of fine-grained classes, whose classes can be divided into training and test."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn

from rein_seg.datasets.files.pairing import read_text
from rein_seg.datasets.images.dataset import ImageDataset, LabelledImage
from rein_seg.errors import UserError, near_misses

PARTS = ('train_classes', 'test_classes')


class Listed(NamedTuple):
    """An image as the lists of a data set have it.

    Attributes:
        name: Path below the folder of the data.
        label: Class index, from 0, among all classes.
        split: train, val or test.
    """

    name: str
    label: int
    split: str


class ClassSplitDataset(ImageDataset):
    """Images listed by a data set, of all classes or of a half of them.

    A subclass reads the lists (`read`).

    Args:
        domain: Name that every sample carries into the metric.
        part: ``train_classes`` takes the images of the first classes, in the order of the labels,
            ``test_classes`` of all further classes; both from every split, with indexes from 0.
            None takes all classes.
        split: Images of a split of the data set alone, as classification takes them; or several.
            None takes all.
        **kwargs: As `ImageDataset`.

    Attributes:
        first_classes: Number of classes of ``train_classes``.
        splits: Names of the splits.

    Raises:
        UserError: As `ImageDataset`, or if ``part`` or ``split`` is not known, a list is missing or
            damaged, or an image of a list is not there.
    """

    own_classes = True
    first_classes: ClassVar[int]
    splits: ClassVar[tuple[str, ...]] = ('train', 'test')

    def __init__(
        self,
        domain: str,
        *,
        part: str | None = None,
        split: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        wanted = (split,) if isinstance(split, str) else split
        for key, values, known in (('part', [part], PARTS), ('split', wanted or [], self.splits)):
            for value in values:
                if value is not None and value not in known:
                    raise UserError(
                        f'domain {domain!r}: {key}={value!r}; {near_misses(value, known)}'
                    )
        self.part, self.wanted = part, wanted
        self._lists: tuple[str, list[str], list[Listed]] | None = None
        super().__init__(domain, **kwargs)

    @abstractmethod
    def read(self) -> tuple[str, list[str], list[Listed]]:
        """Returns the folder of the data, the names of all classes, and all images."""

    def lists(self) -> tuple[str, list[str], list[Listed]]:
        """Returns what `read` returns; it is called once."""
        if self._lists is None:
            self._lists = self.read()
            _, classes, images = self._lists
            wrong = next((one for one in images if not 0 <= one.label < len(classes)), None)
            if wrong is not None:
                raise UserError(
                    f'domain {self.domain!r}: {wrong.name!r} has class {wrong.label + 1} in the '
                    f'lists, expected 1 to {len(classes)}; unpack the data again; {self.hint}'
                )
        return self._lists

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the classes of ``part``."""
        return tuple(self.lists()[1][self._chosen()])

    def images(self) -> list[LabelledImage]:
        """Returns the images in the order of the lists."""
        folder, _, every = self.lists()
        chosen = self._chosen()
        first = chosen.start or 0
        kept = [
            LabelledImage(os.path.join(folder, one.name), one.name, one.label - first)
            for one in every
            if one.label in range(*chosen.indices(len(self.lists()[1])))
            and (self.wanted is None or one.split in self.wanted)
        ]
        self.left_out['images of other classes or splits'] += len(every) - len(kept)
        missing = [one.name for one in kept if not os.path.exists(one.path)]
        if missing:
            raise UserError(
                f'domain {self.domain!r}: {missing[0]!r} and {len(missing) - 1} more images of the '
                f'lists are not below {folder!r}: expected all; unpack the data again; {self.hint}'
            )
        return kept

    def _chosen(self) -> slice:
        if self.part is None:
            return slice(None)
        if self.part == 'train_classes':
            return slice(0, self.first_classes)
        return slice(self.first_classes, None)

    def locate(self, file: str, folders: Sequence[str]) -> Path:
        """Returns the folder, of several below ``data_root``, that holds a file.

        Raises:
            UserError: If none does.
        """
        found = (Path(self.root, folder) for folder in folders)
        there = next((path for path in found if (path / file).is_file()), None)
        return there or self.lacks(Path(self.root, folders[0], file))

    def lacks(self, file: Path) -> NoReturn:
        """Says that a file of the data set is not there."""
        raise UserError(
            f'domain {self.domain!r}: {str(file)!r} does not exist: expected the data as '
            'downloaded and unpacked; point data_root there (--cfg-options data_root=DIR); '
            f'{self.hint}'
        )

    def rows(self, file: Path) -> list[str]:
        """Returns the lines of a list, without empty ones."""
        if not file.is_file():
            self.lacks(file)
        return [line.strip() for line in read_text(file).splitlines() if line.strip()]
