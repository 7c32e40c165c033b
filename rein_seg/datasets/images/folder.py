"""Own images: a folder for each class, or a list of paths and classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from mmseg.registry import DATASETS

from rein_seg.datasets.files.listing import is_there, list_files
from rein_seg.datasets.files.pairing import read_text
from rein_seg.datasets.files.walk import check_name, left_out_as
from rein_seg.datasets.images.dataset import ImageDataset, LabelledImage
from rein_seg.datasets.images.split_file import JSON, classes_of_splits, read_splits
from rein_seg.errors import UserError, near_misses
from rein_seg.rules import at_least, fits

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.gif')
_PARTS = ('train', 'val')


@DATASETS.register_module()
class ImageFolderDataset(ImageDataset):
    """Images in a folder for each class, ``DIR/CLASS/IMAGE``, or listed in a file.

    Args:
        domain: Name that every sample carries into the metric.
        data_root: Folder that the other paths are relative to; or a zip.
        folder: Sub-folder of ``data_root`` that holds the images.
        split: Sub-folder of that for a part of the data, such as ``train``; of a list of several
            splits its name there.
        ann_file: File that lists the images, one a line: ``PATH`` takes the class of the folder,
            ``PATH LABEL`` names it or gives its index. A path is relative to the folder of the
            images; behind a path with spaces a tab or a comma stands before the label. Or a
            ``.json`` of splits, as CoOp has them: ``{"train": [[PATH, INDEX, CLASS], ...], ...}``.
        part: For data without a validation split: ``train`` leaves out every ``hold_out``-th image
            of each class, ``val`` takes only these; None takes all.
        hold_out: See ``part``; counted in the order of the names.
        folders: Class -> name of its folder, where they differ.
        **kwargs: As `ImageDataset`. Without ``metainfo=dict(classes=...)`` the sorted folders are
            the classes.

    Raises:
        UserError: As `ImageDataset`, or if a folder or list is missing, a folder or a line of the
            list names no class, or an image of the list is not there.

    Example:
        >>> from pathlib import Path
        >>> from rein_seg.datasets import ImageFolderDataset
        >>> for name in ('own/car/1.jpg', 'own/car/2.jpg', 'own/van/1.jpg'):
        ...     Path(name).parent.mkdir(parents=True, exist_ok=True)
        ...     Path(name).touch()
        >>> dataset = ImageFolderDataset('own', data_root='own')
        >>> dataset.classes, dataset.labels().tolist()
        (('car', 'van'), [0, 0, 1])
        >>> len(ImageFolderDataset('own', data_root='own', shots=1))
        2
    """

    def __init__(
        self,
        domain: str,
        *,
        data_root: str | None = None,
        folder: str = '',
        split: str | None = None,
        ann_file: str = '',
        part: str | None = None,
        hold_out: int = 10,
        folders: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        if part is not None and part not in _PARTS:
            raise UserError(f'domain {domain!r}: part={part!r}; {near_misses(part, _PARTS)}')
        if not fits(hold_out, Annotated[int, at_least(2)]):
            raise UserError(
                f'domain {domain!r}: hold_out={hold_out!r}: expected a whole number, 2 or more; '
                'set it'
            )
        self.folder, self.split, self.list_file = folder, split, ann_file
        self.part, self.hold_out, self.folders = part, hold_out, dict(folders or {})
        self._files: dict[str, str] | None = None
        super().__init__(domain, data_root=data_root, **kwargs)

    def class_names(self) -> tuple[str, ...]:
        """Returns the sorted names of the folders that hold images, or of the classes of a list."""
        if self.list_file.endswith(JSON):
            return classes_of_splits(Path(self.root, self.list_file), f'domain {self.domain!r}')
        of_folders = sorted({name.split('/')[0] for name in self.files() if '/' in name})
        if not self.list_file:
            self._check_folders(of_folders)
        else:
            listed = {label for _, label in self._lines() if label is not None}
            if listed and not all(label.isdecimal() for label in listed):
                return tuple(sorted(listed))
            if listed and not (of_folders and max(map(int, listed)) < len(of_folders)):
                return super().class_names()
        return tuple(of_folders)

    def images(self) -> list[LabelledImage]:
        """Returns the images, sorted by class and name."""
        found = self._listed() if self.list_file else self._of_folders()
        if self.part is None:
            return found
        places, val = _places(found), self.part == 'val'
        return [one for one in found if (places[one.name] % self.hold_out == 0) == val]

    def files(self) -> dict[str, str]:
        """Returns name -> path of every image file below the folder."""
        if self._files is None:
            self._files = self._list()
        return self._files

    def _check_folders(self, filled: list[str]) -> None:
        place = self._place()
        if not place.is_dir():  # an archive keeps no empty folders
            return
        empty = [one.name for one in place.iterdir() if one.is_dir() and one.name not in filled]
        empty = sorted(name for name in empty if left_out_as(name) is None)
        if empty:
            raise UserError(
                f'domain {self.domain!r}: the folder {empty[0]!r} of {str(place)!r} has no image: '
                'expected images in the folder of each class; add some, or remove the folder'
            )

    def _place(self) -> Path:
        of_list = self.list_file.endswith(JSON)
        return Path(self.root, self.folder, '' if of_list else self.split or '')

    def _list(self) -> dict[str, str]:
        place = str(self._place())
        if not self.root or not is_there(place):
            raise UserError(
                f'domain {self.domain!r}: folder of images {place!r} does not exist: put or link '
                'the data there, or point data_root elsewhere (--cfg-options data_root=DIR, or in '
                f"the data set's own config); {self.hint}"
            )
        found = {}
        for name, path in sorted(list_files(place, self.left_out).items()):
            if not name.lower().endswith(SUFFIXES):
                self.left_out[Path(name).suffix.lower() or 'without a suffix'] += 1
                continue
            check_name(path)
            found[name] = path
        return found

    def _of_folders(self) -> list[LabelledImage]:
        index = self._index()
        found = []
        for name, path in self.files().items():
            folder = name.rpartition('/')[0]
            if not folder:
                self.left_out['images in no folder of a class'] += 1
                continue
            label = self._label_of(folder, index, path)
            found.append(LabelledImage(path, name, label))
        return sorted(found, key=lambda one: (one.label, one.name))

    def _index(self) -> dict[str, int]:
        return {self.folders.get(name, name): k for k, name in enumerate(self.classes)}

    def _label_of(self, folder: str, index: Mapping[str, int], path: str) -> int:
        top = folder.split('/')[0]
        if top not in index:
            raise UserError(
                f'domain {self.domain!r}: the folder {top!r} of {path!r} is no class; '
                f'{near_misses(top, index)}; add it to classes, or move the folder elsewhere'
            )
        return index[top]

    def _listed(self) -> list[LabelledImage]:
        index, files = self._index(), self.files()
        lines = self._lines()
        names = {name: k for k, name in enumerate(self.classes)}
        # classes called 1, 2, 3: the labels 0, 1, 2 are indexes, all of them
        if not all(label in names for _, label in lines if label is not None):
            names = {name: k for name, k in names.items() if not name.isdecimal()}
        found = []
        for name, label in lines:
            if name not in files:
                raise UserError(
                    f'domain {self.domain!r}: {self.list_file!r} lists {name!r}, which is not '
                    f'there: expected a path below {self.root!r} with one of '
                    f'{", ".join(SUFFIXES)}; correct the list, or copy the image'
                )
            if label is None:
                k = self._label_of(name.rpartition('/')[0], index, name)
            else:
                k = self._class_of(label, names, name)
            found.append(LabelledImage(files[name], name, k))
        return found

    def _class_of(self, label: str, names: Mapping[str, int], image: str) -> int:
        if label in names:
            return names[label]
        if label.isdecimal() and int(label) < len(self.classes):
            return int(label)
        raise UserError(
            f'domain {self.domain!r}: {self.list_file!r} gives {image!r} the class {label!r}: '
            f'expected a name of the {len(self.classes)} classes or an index of 0 to '
            f'{len(self.classes) - 1}; '
            f'{near_misses(label, self.classes)}'
        )

    def _lines(self) -> list[tuple[str, str | None]]:
        """Returns image and label of each line; None where the folder says the class."""
        path = Path(self.root, self.list_file)
        if path.is_file() and self.list_file.endswith(JSON):
            found = read_splits(path, self.split, f'domain {self.domain!r}')
            return [(name, label) for name, _, label in found]
        if not path.is_file():
            raise UserError(
                f'domain {self.domain!r}: ann_file {str(path)!r} does not exist: expected a list '
                'of images, one a line; correct the path'
            )
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        if not lines:
            raise UserError(
                f'domain {self.domain!r}: ann_file {str(path)!r} lists no image: expected an image '
                'a line; fill it'
            )
        return [self._parse(line) for line in lines]

    def _parse(self, line: str) -> tuple[str, str | None]:
        if line in self.files():
            return line, None
        for mark in ('\t', ',', None):
            name, _, label = line.rpartition(mark) if mark else _last_word(line)
            if name:
                return name.strip(), label.strip()
        return line, None


def _places(every: list[LabelledImage]) -> dict[str, int]:
    """Returns name -> place among the images of its class, from 1."""
    counts: dict[int, int] = {}
    places = {}
    for one in sorted(every, key=lambda one: one.name):
        counts[one.label] = counts.get(one.label, 0) + 1
        places[one.name] = counts[one.label]
    return places


def _last_word(line: str) -> tuple[str, str, str]:
    parts = line.rsplit(maxsplit=1)
    return (parts[0], ' ', parts[1]) if len(parts) == 2 else ('', '', line)
