"""All fast forms by name: the plain computation that each replaces, where, and why.

`rein_seg.fast.dispatch` reads this table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from rein_seg.fast import (
    allocator,
    appended_positions,
    batched_costs,
    channels_last,
    chosen_experts,
    combined_masks,
    compiled_sampling,
    convolve_first,
    gathered_sampling,
    kept_positions,
    label_points,
    lazy_masks,
    matched_masks,
    onednn_matmul,
    recomputed_sampling,
    rust_png,
    short_draws,
    short_softmax,
    split_rows,
    upscaled_rows,
    winograd,
)


def _always(*arguments: Any, **options: Any) -> bool:
    return True


@dataclass
class Switch:
    """A fast form of one computation, or of some that go together.

    Attributes:
        name: In ``REIN_SEG_FAST``, in the log, and at the plain computation
            (``@has_fast_form(name)``).
        forms: Plain function by its full name -> the function that replaces it, with the same
            arguments and the same result.
        why: The gain, in a few words; figures stand in the file of the form.
        where: Device, type and sizes, in words.
        applies: Tells whether the form can be taken, from the arguments; default: always.
        takes_plain: The form's first argument is the plain function.
        on: Whether the form is taken where it applies.
    """

    name: str
    forms: Mapping[str, Callable[..., Any]]
    why: str
    where: str = 'everywhere'
    applies: Callable[..., bool] = _always
    takes_plain: bool = False
    on: bool = True

    @contextlib.contextmanager
    def left_out(self) -> Iterator[None]:
        """Leaves the form out for a while."""
        before, self.on = self.on, False
        try:
            yield
        finally:
            self.on = before


@dataclass
class ProcessSwitch:
    """A setting of the whole process. The tools switch it on, the library does not.

    Attributes:
        name: In ``REIN_SEG_FAST`` and in the log.
        use: Switches it on where it pays; returns whether it is on now.
        left_out: Returns a context without it.
        is_on: Tells whether it is on.
        why: The gain, in a few words.
        where: System and processor, in words.
    """

    name: str
    use: Callable[[], bool]
    left_out: Callable[[], AbstractContextManager]
    is_on: Callable[[], bool]
    why: str
    where: str

    @property
    def on(self) -> bool:
        """Whether it is on."""
        return self.is_on()


_HEAD = 'rein_seg.heads.mask2former.'
_FORMS = (
    Switch(
        'winograd',
        {_HEAD + 'layers.ConvGN.convolve': winograd.convolve},
        why='3x3 convolutions with a quarter of the products',
        where='CPU, float32, 128 channels and 4096 pixels or more',
        applies=winograd.applies,
    ),
    Switch(
        'convolve_first',
        {_HEAD + 'layers.ConvGN.forward': convolve_first.conv_gn},
        why='1x1 convolutions run before maps are enlarged, channels last',
    ),
    Switch(
        'channels_last',
        {_HEAD + 'layers.resize_to': channels_last.resize_to},
        why='maps with channels last are resized in a sixth of the time',
    ),
    Switch(
        'compiled_sampling',
        {_HEAD + 'deform_attn.deform_sample': compiled_sampling.sample},
        why="mmcv's compiled deformable sampling",
        where='GPU, where mmcv was built with it',
        applies=compiled_sampling.applies,
    ),
    Switch(
        'gathered_sampling',
        {_HEAD + 'deform_attn.deform_sample': gathered_sampling.sample},
        why='deformable sampling as one gather, forward and backward',
        where='CPU',
        applies=gathered_sampling.applies,
    ),
    Switch(
        'recomputed_sampling',
        {_HEAD + 'deform_attn.deform_sample': recomputed_sampling.sample},
        why='memory: samples are computed again in the backward pass',
        where='GPU',
        applies=recomputed_sampling.applies,
        takes_plain=True,
    ),
    Switch(
        'short_softmax',
        {_HEAD + 'deform_attn.softmax': short_softmax.softmax},
        why='softmax over a dozen sampling points in a third of the time',
        where='CPU, less than 16 values',
        applies=short_softmax.applies,
    ),
    Switch(
        'lazy_masks',
        {
            _HEAD + 'head.Mask2FormerHead.forward': lazy_masks.forward,
            _HEAD + 'head.Mask2FormerHead.loss': lazy_masks.loss,
            _HEAD + 'head.Mask2FormerHead.predict': lazy_masks.predict,
        },
        why='masks are made at the size and for the queries that need them',
    ),
    Switch(
        'batched_costs',
        {_HEAD + 'losses.SetLoss.costs': batched_costs.costs},
        why='matching costs of all predictions and images in one batch',
    ),
    Switch(
        'label_points',
        {
            _HEAD + 'points.sample_class': label_points.sample_class,
            _HEAD + 'points.sample_valid': label_points.sample_valid,
        },
        why='masks of classes are sampled together, or read from the labels',
    ),
    Switch(
        'short_draws',
        {_HEAD + 'losses.Draws.candidates': short_draws.candidates},
        why='four random coordinates from each draw; other points than the plain form',
        where='CPU',
        applies=short_draws.applies,
    ),
    Switch(
        'combined_masks',
        {_HEAD + 'masks.combine': combined_masks.combine},
        why='scores of an image without copies of its masks',
    ),
    Switch(
        'matched_masks',
        {
            'rein_seg.heads.plain_masks.head.mask_product': matched_masks.mask_product,
            'rein_seg.heads.plain_masks.head.PlainMaskHead.loss': matched_masks.loss,
        },
        why='masks of plain mask heads get a gradient where they are matched',
        where='CPU, eager mode',
        applies=matched_masks.applies,
    ),
    Switch(
        'upscaled_rows',
        {'rein_seg.heads.plain_masks.upscale.UpscaleBlock.forward': upscaled_rows.forward},
        why='upscale blocks of plain mask heads as products of pixels, channels last',
    ),
    Switch(
        'appended_positions',
        {
            'rein_seg.encoders.sam.attention.attend_with_positions': appended_positions.attend,
        },
        why='memory: relative positions in queries and keys instead of a bias of all pairs',
    ),
    Switch(
        'split_rows',
        {'rein_seg.encoders.masked_attention.attend': split_rows.attend},
        why='attention masks the rows of queries alone',
        where="blocks of mmpretrain's form, without dropout",
        applies=split_rows.applies,
    ),
    Switch(
        'kept_positions',
        {'rein_seg.encoders.plain_vit.model.PlainViT.positions': kept_positions.positions},
        why='resized positions are kept while they are frozen',
        where='eager mode',
        applies=kept_positions.applies,
    ),
    Switch(
        'chosen_experts',
        {'rein_seg.peft.parts.mixture.Experts.forward': chosen_experts.mix},
        why='only the chosen experts of a mixture run',
    ),
    Switch(
        'rust_png',
        {'rein_seg.datasets.files.pictures.decode_pixels': rust_png.image},
        why='png images are decoded in half of the time',
        where="8 bits, with `pip install 'rein-seg[fast-io]'`",
        applies=rust_png.image_applies,
        takes_plain=True,
        on=rust_png.decoder() is not None,
    ),
    Switch(
        'rust_png_labels',
        {'rein_seg.datasets.files.label_files.stored_values': rust_png.label},
        why='png labels are decoded in a quarter of the time',
        where="8 bits, with `pip install 'rein-seg[fast-io]'`",
        applies=rust_png.label_applies,
        takes_plain=True,
        on=rust_png.decoder() is not None,
    ),
)
FORMS = {switch.name: switch for switch in _FORMS}
PROCESS = (
    ProcessSwitch(
        'onednn_matmul',
        use=onednn_matmul.use_onednn,
        left_out=partial(onednn_matmul.onednn, False),
        is_on=lambda: onednn_matmul.library() == 'oneDNN',
        why='float32 matrix products by oneDNN',
        where='AMD CPU with AVX-512',
    ),
    ProcessSwitch(
        'kept_memory',
        use=allocator.keep_freed_memory,
        left_out=allocator.giving_memory_back,
        is_on=allocator.keeps_memory,
        why='freed memory is kept for the next step',
        where='CPU, glibc',
    ),
)
SWITCHES: dict[str, Switch | ProcessSwitch] = {
    switch.name: switch for switch in (*FORMS.values(), *PROCESS)
}
