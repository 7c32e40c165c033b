"""Writes an encoder's weights in the layout of the file that it was built from.

The key map of a family (`convert_weights`) works in one direction. Its inverse is found by trying
it on the file: most tensors pass through it unchanged; for the others, a tensor of numbered
elements shows the place of each element. Tensors that the encoder does not use stay in the file as
they are, and so do resampled tensors that did not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rein_seg.encoders.convert import convert_weights
from rein_seg.encoders.resampling import shrink_patch_kernel
from rein_seg.encoders.weights import Converted
from rein_seg.errors import UserError

_FIRST = 2.0**40  # elements are numbered from here on: no weight is as large


@dataclass(frozen=True)
class FileLayout:
    """Tensors by the file's names.

    Attributes:
        tensors: All tensors of the file, with those that the encoder does not use.
        changed: Names of tensors whose values changed.
        resized: Tensors that had to be written in the encoder's size, such as
            ``patch_embed.proj.weight 14x14 -> 16x16``: no tensor of the file's size gives their
            values.
        resampled: Tensors that loading resizes, as it did when the method was trained.
    """

    tensors: dict[str, Tensor]
    changed: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    resampled: tuple[str, ...] = ()


def to_file_layout(encoder: nn.Module, state: Mapping[str, Tensor]) -> FileLayout:
    """Returns the weights of ``encoder`` in the layout of the file that it was built from.

    Args:
        encoder: With any values.
        state: The file, as downloaded.

    Raises:
        UserError: If the layout has no place for a tensor that changed, or the new file would not
            load as these weights.

    Example:
        >>> import torch
        >>> from rein_seg.encoders import build_encoder, to_file_layout
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> file = {f'backbone.{k}': v.clone() for k, v in encoder.state_dict().items()}
        >>> with torch.no_grad():
        ...     _ = encoder.layers[0].attn.qkv.bias.fill_(1)
        >>> made = to_file_layout(encoder, file)
        >>> made.changed, made.tensors.keys() == file.keys()
        (('backbone.layers.0.attn.qkv.bias',), True)
    """
    own = {name: tensor.detach().cpu() for name, tensor in encoder.state_dict().items()}
    converted = convert_weights(encoder, dict(state))
    before = converted.tensors
    if set(own) != set(before):
        new = sorted(set(own) ^ set(before))
        raise UserError(
            f"the layout of the encoder's file has no place for {', '.join(map(repr, new[:5]))}: "
            "choose roles of the method that leave the encoder's tensors what they are"
        )
    waiting = {name: tensor for name, tensor in own.items() if not _same(before[name], tensor)}
    layout = _Layout(encoder, state, before)
    layout.place_renamed(waiting)
    layout.place_traced(waiting)
    # norms that a classifier's file lacks: a file must have all of them, or none
    if any(name in waiting for name in converted.filled):
        layout.result |= {name: own[name].clone() for name in converted.filled}
    back = _load(encoder, layout.result, own)
    changed = [n for n, t in layout.result.items() if n not in state or t is not state[n]]
    return FileLayout(layout.result, tuple(changed), tuple(layout.resized), back.resampled)


class _Layout:
    """A file in which tensors of the encoder are placed.

    Args:
        encoder: The encoder.
        state: The file.
        before: The tensors of the file under the encoder's names.
    """

    def __init__(
        self, encoder: nn.Module, state: Mapping[str, Tensor], before: Mapping[str, Tensor]
    ) -> None:
        self.encoder, self.state, self.before = encoder, dict(state), before
        self.result = dict(state)
        self.resized: list[str] = []
        names = {_memory(tensor): name for name, tensor in state.items()}
        self.renamed = {
            name: names[_memory(tensor)]
            for name, tensor in before.items()
            if tensor.numel() and _memory(tensor) in names
        }

    def place_renamed(self, waiting: dict[str, Tensor]) -> None:
        """Places tensors with only another name, or shape; takes them out of ``waiting``."""
        for name in [name for name in waiting if name in self.renamed]:
            source, tensor = self.renamed[name], waiting.pop(name)
            # a first layer of other bands has another number of elements
            same = tensor.numel() == self.state[source].numel()
            self.result[source] = (
                tensor.reshape(self.state[source].shape) if same else tensor
            ).clone()

    def place_traced(self, waiting: dict[str, Tensor]) -> None:
        """Places tensors that the key map permutes, joins or resizes."""
        if not waiting:
            return
        others = [n for n, t in self.state.items() if n not in set(self.renamed.values())]
        for source in others:
            numbers = torch.arange(self.state[source].numel(), dtype=torch.float64) + _FIRST
            probe = self.probe(source, numbers.view(self.state[source].shape))
            for name in [name for name in waiting if name in probe]:
                moved = probe[name].double() != self.before[name].double()
                if moved.any():
                    self._place(source, name, probe[name][moved], waiting[name], moved)

    def probe(self, source: str, tensor: Tensor) -> dict[str, Tensor]:
        """Returns the file under the encoder's names, with ``tensor`` in place of ``source``."""
        try:
            return convert_weights(self.encoder, {**self.state, source: tensor}).tensors
        except UserError:  # the key map checks values
            return {}

    def _place(
        self, source: str, name: str, numbers: Tensor, tensor: Tensor, moved: Tensor
    ) -> None:
        old = self.state[source]
        order = (numbers.double() - _FIRST).long()
        if len(order) == old.numel() and torch.equal(order.sort().values, torch.arange(len(order))):
            flat = old.to(tensor.dtype).flatten().clone()
            flat[order] = tensor[moved]
            placed = flat.view(old.shape)
            if not torch.equal(placed, old):  # of a joined tensor, another part may have changed
                self.result[source] = placed
            return
        if old.dim() == tensor.dim() == 4:
            smaller = shrink_patch_kernel(tensor, tuple(old.shape[-2:]))
            found = self.probe(source, smaller).get(name)
            if found is not None and _near(found, tensor):
                self.result[source] = smaller
                return
        self.result[source] = tensor.clone()
        self.resized.append(f'{source} {_by(old)} -> {_by(tensor)}')


def _load(encoder: nn.Module, made: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Converted:
    """Converts the new file, and checks that it gives the encoder's weights."""
    back = convert_weights(encoder, dict(made))
    lost = sorted(set(back.tensors) ^ set(own))
    shared = set(back.tensors) & set(own)
    lost += [name for name in sorted(shared) if not _near(back.tensors[name], own[name])]
    if lost:
        more = f' and {len(lost) - 3} more' if len(lost) > 3 else ''
        raise UserError(
            f"the layout of the encoder's file cannot hold what changed in "
            f'{", ".join(lost[:3])}{more}; leave their roles out of the method'
        )
    return back


def _memory(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel()


def _same(ours: Tensor, theirs: Tensor) -> bool:
    return torch.equal(ours.to(theirs.dtype), theirs)


def _near(ours: Tensor, theirs: Tensor) -> bool:
    if ours.shape != theirs.shape or not theirs.is_floating_point():
        return torch.equal(ours, theirs)
    size = theirs.abs().max().item() if theirs.numel() else 0.0
    return torch.allclose(ours.to(theirs.dtype), theirs, rtol=1e-6, atol=1e-6 * size)


def _by(tensor: Tensor) -> str:
    shape = tensor.shape[-2:] if tensor.dim() == 4 else tensor.shape
    return 'x'.join(map(str, shape))
