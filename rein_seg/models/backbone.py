"""A frozen encoder with a tuning method in it: the only place that freezes.

B batch, H x W image, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.bands import short_list
from rein_seg.building import building
from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.bands import STORED, input_parameters
from rein_seg.errors import UserError
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.models.checkpointing import checkpoint_blocks
from rein_seg.models.joined_queries import JoinedQueries
from rein_seg.peft import PEFTMethod, build_methods
from rein_seg.structures import Anatomy, Features, OpSite, Undo


@MODELS.register_module()
class PEFTBackbone(BaseModule):
    """Computes `Features` with a frozen encoder and the tuning method in it.

    The constructor loads the encoder's weights, attaches the method, freezes everything and
    switches on exactly the method's ``trainable_parameters()``. Loading cannot wait for
    ``init_weights``: a runner wraps the model before it calls that, and does not call it to test.

    The state dict leaves out the frozen tensors of the encoder, and loads without them.

    Args:
        encoder: Config of the encoder; see `build_encoder` for ``checkpoint``, ``init_seed``. With
            ``bands`` of ``train_input=True`` its first layer trains, too.
        peft: Config of the method, or a list of configs of methods that work together.
        activation_checkpointing: Computes each block again in the backward pass instead of keeping
            its activations.

    Shapes:
        (B, 3, H, W) normalised image -> `Features` with one map for each output of the encoder. An
        encoder with ``bands`` takes (B, N, H, W).

    Example:
        >>> import torch
        >>> import rein_seg.apis
        >>> from rein_seg.models.backbone import PEFTBackbone
        >>> arch = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=16)
        >>> encoder = dict(type='mmpretrain.VisionTransformer', arch=arch, img_size=32,
        ...     patch_size=8, out_type='featmap', out_indices=[0, 1], final_norm=False, init_seed=0)
        >>> backbone = PEFTBackbone(encoder, dict(type='LoRA', rank=2))
        >>> [tuple(x.shape) for x in backbone(torch.randn(1, 3, 32, 64)).maps]
        [(1, 8, 4, 8), (1, 8, 4, 8)]
        >>> {name.split('.')[0] for name in backbone.state_dict()}
        {'peft'}
    """

    def __init__(
        self,
        encoder: Mapping[str, Any],
        peft: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        activation_checkpointing: bool = False,
        init_cfg: None = None,
    ) -> None:
        super().__init__(init_cfg)
        with building('model.backbone.encoder'):
            self.encoder, self.encoder_info = build_encoder(encoder)
            self.anatomy: Anatomy = find_anatomy(self.encoder)
            if self.anatomy.no_maps is not None:
                raise UserError(self.anatomy.no_maps)
        guard_batch_norms(self.encoder)
        self._sides_of = ''  # name of the head that restricts the sides of images
        self.peft_cfg = peft
        with building('model.backbone.peft'):
            self.peft: PEFTMethod = build_methods(peft)
            self.peft.attach(self.encoder, self.anatomy)
        self._freeze()
        # stored: a copy for weight averaging switches all gradients off, and would find more
        self.frozen_names = self._find_frozen()
        self.keeps_embedding = self.keeps_prefix = False
        self._prefix: list[Tensor] | None = None  # of a running pass
        self._embedding: Tensor | None = None
        self._joint: tuple[Tensor, Tensor] | None = None
        self._notes: list[Undo] = []
        self.joined: JoinedQueries | None = None  # of a head; `join` sets it
        self._take_notes()
        if activation_checkpointing:
            checkpoint_blocks(self.anatomy)
        self.register_state_dict_post_hook(_drop_frozen)
        self.register_load_state_dict_pre_hook(_fill_frozen)
        self.train()

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels C of each map."""
        return self.anatomy.out_channels

    @property
    def query_dims(self) -> int | None:
        """Width of the queries for the head, or None without queries."""
        return self.peft.query_dims

    @property
    def embedding_dims(self) -> int | None:
        """Channels of the patch embedding of a plain ViT; None for encoders with stages."""
        return None if self._patches is None else self._patches.out_channels

    @property
    def _patches(self) -> nn.Conv2d | None:
        ops = [site for site in self.anatomy.sites if isinstance(site, OpSite)]
        found = [site.module for site in ops if site.role == 'patch']
        plain = len(self.anatomy.stage_depths) == 1 and len(found) == 1
        return found[0] if plain and isinstance(found[0], nn.Conv2d) else None

    def keep_embedding(self) -> None:
        """Has `forward` return the patch embedding, too, for a head that reads it."""
        if not self.keeps_embedding:
            assert self._patches is not None, self.anatomy.family
            self.keeps_embedding = True
            self._take_notes()

    def keep_prefix(self) -> None:
        """Has `forward` return the prefix tokens of each map, too, for a head that reads them.

        Raises:
            UserError: If the encoder's maps are not made of tokens.
        """
        if not self.anatomy.out_taps:
            raise UserError(
                f'encoder {self.encoder_info.name!r} ({self.anatomy.family}) has no class and '
                'register tokens beside the patches of its maps: expected a plain vision '
                'transformer, such as DINOv2'
            )
        if not self.keeps_prefix:
            self.keeps_prefix = True
            self._take_notes()

    def join(self, head: Any) -> None:
        """Has the queries of a head pass through the last blocks of the encoder.

        `forward` then returns the head's queries behind the last block, and its early predictions.

        Args:
            head: With ``joins_encoder``; see `JoinedQueries`. The model holds it and its state,
                not this module.

        Raises:
            UserError: If the encoder is no plain transformer, or not as the head needs it.
        """
        self.joined = JoinedQueries(head, self.anatomy)
        self._take_notes()

    def attach(self) -> None:
        """Puts the hooks of `detach` back."""
        self.peft.attach(self.encoder, self.anatomy)
        self._take_notes()

    def detach(self) -> None:
        """Removes all hooks of this backbone from the encoder, which others may share.

        Raises:
            RuntimeError: If the method was merged into the encoder.
        """
        self.peft.detach()
        self._drop_notes()

    def _drop_notes(self) -> None:
        for handle in self._notes:
            handle.remove()
        self._notes = []

    def _take_notes(self) -> None:
        """Hooks what the encoder computes beside its maps, and a neck or head reads."""
        self._drop_notes()
        if self.anatomy.joint is not None:
            self._notes.append(self.anatomy.joint.register_forward_hook(self._note_joint))
        if self.keeps_embedding:
            assert self._patches is not None
            self._notes.append(self._patches.register_forward_hook(self._note_embedding))
        if self.joined is not None:  # behind the hooks of the method, whose tokens come first
            self._notes += self.joined.register()
        # behind all hooks that insert tokens, which have taken their tokens out
        for tap in self.anatomy.out_taps if self.keeps_prefix else ():
            self._notes.append(tap.module.register_forward_hook(self._note_prefix))

    def _note_prefix(self, module: nn.Module, args: Any, output: Tensor) -> None:
        if self._prefix is not None and not self.anatomy.state.recomputing:
            self._prefix.append(output[:, : self.anatomy.num_prefix])

    def _note_embedding(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self._embedding = output

    @property
    def joint_dims(self) -> int | None:
        """Width of the space that image and text share; None for encoders without it."""
        return self.anatomy.joint_dims

    def _note_joint(self, module: nn.Module, args: Any, output: tuple[Tensor, Tensor]) -> None:
        self._joint = output

    def forward(
        self, image: Tensor, text: Tensor | None = None, fixed_text: Tensor | None = None
    ) -> Features:
        """Computes the features of a normalised image.

        Args:
            image: (B, 3, H, W).
            text: (K, D) embeddings of the classes, of a model with text; they are in the result.
            fixed_text: (K, D), as in `Features`.

        Raises:
            UserError: If H or W is not a multiple of the encoder's divisor, or the channels are not
                the encoder's bands.
        """
        self._check_bands(image)
        self.check_size(image.shape[-2:])
        first, state = None, self.anatomy.state
        state.prepared = {}
        try:
            if self.peft.looks_first:
                first = replace(self.alone(image), text=text, fixed_text=fixed_text)
                image = self.peft.prepare(image, first)
            features = self._encode(image)
        finally:
            state.prepared = {}
        queries = self.peft.queries() if self.joined is None else features.queries
        return replace(features, queries=queries, text=text, fixed_text=fixed_text, first=first)

    def _check_bands(self, image: Tensor) -> None:
        bands = self.encoder_info.bands
        if bands is not None and image.shape[1] != len(bands.names):
            raise UserError(
                f'an image of {image.shape[1]} channels reached encoder '
                f'{self.encoder_info.name!r}, which takes {short_list(bands.names)}: expected '
                'images of these bands'
            )

    @torch.no_grad()
    def alone(self, image: Tensor) -> Features:
        """Returns the features of the frozen encoder, as it is without the method.

        Args:
            image: (B, 3, H, W) normalised images.
        """
        self.anatomy.state.muted = True
        try:
            return self._encode(image)
        finally:
            self.anatomy.state.muted = False

    def _encode(self, image: Tensor) -> Features:
        self.anatomy.state.begin()
        self._prefix = []
        try:
            maps, queries, early = self._run(image)
        finally:  # not stored any longer: a copy of the model cannot copy a part of a graph
            embedding, self._embedding = self._embedding, None
            joint, self._joint = self._joint, None
            prefix, self._prefix = tuple(self._prefix), None
        norm = self.anatomy.final_norm
        if norm is not None and self.anatomy.norms_maps:
            prefix = tuple(norm(tokens) for tokens in prefix)
        kept = prefix if self.keeps_prefix else None
        return Features(maps, queries, embedding=embedding, joint=joint, prefix=kept, early=early)

    def _run(self, image: Tensor) -> tuple[tuple[Tensor, ...], Tensor | None, tuple[Any, ...]]:
        """Returns the maps, and queries and early predictions of a head that has joined."""
        if self.joined is None or self.anatomy.state.muted:
            return tuple(self.encoder(image)), None, ()
        with self.joined.running(len(image), self.peft.queries()):
            return tuple(self.encoder(image)), *self.joined.result()

    def check_size(self, size: Sequence[int]) -> None:
        """Checks that the encoder takes images of a size.

        Args:
            size: (H, W) in pixels.

        Raises:
            UserError: If it does not. The message names the nearest size that works.
        """
        divisor = self.anatomy.divisor
        if any(side % divisor for side in size):
            nearest = tuple(max(1, round(side / divisor)) * divisor for side in size)
            name, what = f'encoder {self.encoder_info.name!r}', 'its patch'
            if self._sides_of:
                name, what = self._sides_of, "the pyramid's coarsest step"
            raise UserError(
                f'{name} takes images with sides that are multiples of {what}, {divisor} pixels, '
                f'not {tuple(size)} (height, width); resize or crop to {nearest}, or test with '
                'windows that are multiples'
            )
        if self.anatomy.check_size is not None:
            self.anatomy.check_size(size)

    def restrict_sides(self, head: str, divisor: int, least: int) -> None:
        """Has images checked, and padded where they are, for a head, too.

        Args:
            head: Its name, for messages.
            divisor: Sides must be multiples of it, in pixels.
            least: Shortest side in pixels.
        """
        anatomy, both = self.anatomy, math.lcm(self.anatomy.divisor, divisor)
        if (both, least) != (anatomy.divisor, 1):
            least = max(anatomy.least_side, least)
            self.anatomy = replace(anatomy, divisor=both, least_side=least)
        if both != anatomy.divisor:
            self._sides_of = head

    def train(self, mode: bool = True) -> PEFTBackbone:
        """Sets the mode of the method. A frozen encoder stays in eval mode."""
        super().train(mode)
        self.encoder.train(mode and self.peft.trains_encoder)
        for still in self.peft.still_modules(self.encoder):
            still.eval()
        return self

    def init_weights(self) -> None:
        """Does nothing: the constructor has loaded the weights."""

    def merge(self) -> None:
        """Merges the method into the encoder's weights, which leaves a backbone of method Frozen.

        `encoder_info` still describes the weights as they were before; a first layer of bands is
        ``stored`` in them.

        Raises:
            NotImplementedError: If the method cannot be merged exactly; the message says why.
        """
        self.peft.merge()
        bands = self.encoder_info.bands
        if bands is not None:
            bands = replace(bands, first_layer=STORED, train_input=False)
            self.encoder_info = replace(self.encoder_info, bands=bands)
        self.peft_cfg = {'type': 'Frozen'}
        self.peft = build_methods(self.peft_cfg)
        self.peft.attach(self.encoder, self.anatomy)
        self._freeze()
        self.frozen_names = self._find_frozen()
        self.train(self.training)

    def _find_frozen(self) -> set[str]:
        """Returns the names in the encoder's state dict that training does not change.

        Buffers (batch statistics) train if a parameter of the same module trains, and the method
        does not keep the module in eval mode.
        """
        frozen: set[str] = set()
        still = set(self.peft.still_modules(self.encoder))
        for path, module in self.encoder.named_modules():
            prefix = f'{path}.' if path else ''
            own = list(module.named_parameters(recurse=False))
            frozen.update(prefix + name for name, p in own if not p.requires_grad)
            if module in still or not any(p.requires_grad for _, p in own):
                frozen.update(prefix + name for name, _ in module.named_buffers(recurse=False))
        return frozen

    def _freeze(self) -> None:
        # a list: a method may mark by requires_grad which of its own parameters train
        trainable = [param for _, param in self.peft.trainable_parameters() if param.requires_grad]
        bands = self.encoder_info.bands
        if bands is not None and bands.train_input:
            trainable += input_parameters(self.anatomy, bands.names)
        for param in self.parameters():
            param.requires_grad_(False)
        for param in trainable:
            param.requires_grad_(True)


def _drop_frozen(
    module: PEFTBackbone, state: dict[str, Tensor], prefix: str, metadata: dict
) -> None:
    for name in module.frozen_names:
        state.pop(f'{prefix}encoder.{name}', None)


def _fill_frozen(module: PEFTBackbone, state: dict[str, Tensor], prefix: str, *args: Any) -> None:
    own = module.encoder.state_dict()
    for name in module.frozen_names & set(own):
        state.setdefault(f'{prefix}encoder.{name}', own[name])
