"""A few images of each class, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from rein_seg.errors import UserError
from rein_seg.rules import Count, fits, in_words


def few_shots(
    names: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    *,
    shots: int,
    seed: int,
    where: str,
) -> list[int]:
    """Returns the indexes of ``shots`` images of each class, in order.

    The images of a class are ordered by a digest of seed and name, which no machine and no library
    changes; so 1 shot is among the 4 shots of the same seed.

    Args:
        names: Paths of the images below the data set's folder.
        labels: Class index of each image.
        classes: Names of all classes.
        shots: Images of each class.
        seed: Of the choice.
        where: Name of the data set, for messages.

    Raises:
        UserError: If shots or seed is no such number, or a class has fewer images.

    Example:
        >>> from rein_seg.datasets.images.few_shot import few_shots
        >>> names = [f'{kind}/{i}.jpg' for kind in ('car', 'van') for i in range(3)]
        >>> few_shots(names, [0, 0, 0, 1, 1, 1], ['car', 'van'], shots=1, seed=1, where='own')
        [1, 5]
    """
    for name, value, hint in (('shots', shots, Count), ('shot_seed', seed, int)):
        if not fits(value, hint):
            raise UserError(f'{where}: {name}={value!r}: expected {in_words(hint)}; set it')
    of_class: dict[int, list[int]] = {k: [] for k in range(len(classes))}
    for index, label in enumerate(labels):
        of_class[label].append(index)
    least = min(of_class, key=lambda k: len(of_class[k]))
    if len(of_class[least]) < shots:
        raise UserError(
            f'{where}: shots={shots}, but the class {classes[least]!r} has '
            f'{len(of_class[least])} images: expected shots of at most that; lower shots, or add '
            'images of the class'
        )

    def place(index: int) -> bytes:
        return hashlib.sha256(f'{seed}:{names[index]}'.encode()).digest()

    chosen = (sorted(indexes, key=place)[:shots] for indexes in of_class.values())
    return sorted(index for some in chosen for index in some)
