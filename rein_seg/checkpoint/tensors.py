"""Checks of the tensors of a file, before anything is computed with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rein_seg.errors import NotFinite, UserError

_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_KINDS = {
    **dict.fromkeys(_FLOATING, 'floating'),
    **dict.fromkeys(_WHOLE, 'whole'),
    torch.bool: 'bool',
}
_GROWTH = 16  # tied weights stand in a file once, and in the model several times
_DEEPEST, _MOST_PARTS = 100, 1_000_000


def kind(dtype: torch.dtype) -> str:
    """Returns floating, whole or bool; values of a kind are loaded into tensors of that kind.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.tensors import kind
        >>> kind(torch.bfloat16), kind(torch.int64), kind(torch.complex64)
        ('floating', 'whole', 'complex64')
    """
    return _KINDS.get(dtype, str(dtype).removeprefix('torch.'))


def shown(name: Any, most: int = 100) -> str:
    r"""Returns a name out of a file for a message: short, without control characters.

    Example:
        >>> from rein_seg.checkpoint.tensors import shown
        >>> shown('a\0b'), shown('layers.0.weight')
        ('a\\x00b', 'layers.0.weight')
    """
    text = str(name)
    text = text[:most] + '...' if len(text) > most else text
    return text if text.isprintable() else repr(text)[1:-1]


def check_tensors(tensors: Mapping[str, Tensor], place: str, *, size: int) -> None:
    """Checks that tensors are dense, of usual types, and not far larger than their file.

    Args:
        tensors: By name.
        place: Kind and path of the file, for messages.
        size: Bytes of the file.

    Raises:
        UserError: If they are not; the message names the first tensor.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.tensors import check_tensors
        >>> check_tensors({'a': torch.ones(2, dtype=torch.complex64)}, "file 'x.pth'", size=999)
        Traceback (most recent call last):
        rein_seg.errors.UserError: file 'x.pth': tensor 'a' is of type complex64, expected dense
        floating-point numbers, whole numbers or bool; get the file again, or convert the tensor
    """
    total = 0
    for name, tensor in tensors.items():
        fault = _fault(tensor)
        if fault is not None:
            raise UserError(
                f'{place}: tensor {shown(name)!r} is {fault}, expected dense floating-point '
                'numbers, whole numbers or bool; get the file again, or convert the tensor'
            )
        total += tensor.numel() * tensor.element_size()
    most = most_bytes(size)
    if total > most:
        raise UserError(
            f'{place}: its tensors would take {total} bytes, expected at most {most} for a file of '
            f'{size} bytes: it repeats its values; get it again from its source'
        )


def most_bytes(size: int) -> int:
    """Returns the bytes that the tensors of a file may take, of ``size`` bytes.

    Example:
        >>> from rein_seg.checkpoint.tensors import most_bytes
        >>> most_bytes(1_000_000)
        17048576
    """
    return _GROWTH * size + (1 << 20)


def _fault(tensor: Tensor) -> str | None:
    if type(tensor) not in (Tensor, nn.Parameter):
        return f'a {type(tensor).__name__}'
    if tensor.is_meta:
        return 'without values'
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
        return 'sparse, nested or quantized'
    return None if tensor.dtype in _KINDS else f'of type {kind(tensor.dtype)}'


def tensors_below(content: Any, place: str) -> dict[str, Tensor]:
    """Returns the tensors in nested dicts and lists, by their dotted place.

    Args:
        content: Of a file.
        place: Kind and path of the file, for messages.

    Raises:
        UserError: If the content is nested too deep, or has too many parts.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.tensors import tensors_below
        >>> tensors_below(dict(state=[dict(a=torch.ones(1))], iter=2), 'file')
        {'state.0.a': tensor([1.])}
    """
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    rest: list[tuple[str, Any, int]] = [('', content, 0)]
    while rest:
        name, part, depth = rest.pop()
        if isinstance(part, Tensor):
            found[name] = part
        if not isinstance(part, (Mapping, list, tuple)) or id(part) in seen:
            continue
        seen.add(id(part))
        items = part.items() if isinstance(part, Mapping) else enumerate(part)
        rest += [(f'{name}.{key}' if name else str(key), one, depth + 1) for key, one in items]
        if depth > _DEEPEST or len(rest) + len(found) > _MOST_PARTS:
            raise UserError(
                f'{place} is nested more than {_DEEPEST} deep, or has more than {_MOST_PARTS} '
                'parts: expected tensors by name; get it again from its source'
            )
    return found


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Returns the names of tensors with a value that is NaN or infinite.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.tensors import not_finite
        >>> not_finite({'a': torch.ones(2), 'b': torch.tensor([1.0, float('nan')])})
        ['b']
    """
    return [name for name, t in tensors.items() if t.is_floating_point() and not _is_finite(t)]


def _is_finite(tensor: Tensor) -> bool:
    if tensor.is_meta:
        return True
    # a sum is quick, and finite only if all values are; it may overflow, too
    small = tensor.dtype in (torch.float16, torch.bfloat16)
    total = tensor.detach().sum(dtype=torch.float32 if small else tensor.dtype)
    return bool(total.isfinite()) or bool(tensor.isfinite().all())


def refuse_to_save(content: Any, path: Any) -> None:
    """Checks that nothing is NaN or infinite before a file is written.

    Raises:
        NotFinite: If something is; the message names the tensor.

    Example:
        >>> import torch
        >>> from rein_seg.checkpoint.tensors import refuse_to_save
        >>> refuse_to_save(dict(state_dict=dict(a=torch.tensor(float('inf')))), 'iter_2.pth')
        Traceback (most recent call last):
        rein_seg.errors.NotFinite: 'iter_2.pth' is not written: tensor 'state_dict.a' holds NaN or
        infinite values, expected numbers: the training diverged; go on from the checkpoint before
        with a lower learning rate, or clip the gradients
    """
    bad = not_finite(tensors_below(content, f'the content of {str(path)!r}'))
    if bad:
        raise NotFinite(
            f'{str(path)!r} is not written: tensor {shown(bad[0])!r} holds NaN or infinite values, '
            'expected numbers: the training diverged; go on from the checkpoint before with a '
            'lower learning rate, or clip the gradients'
        )
