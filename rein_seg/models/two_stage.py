"""A segmentor in two stages: proposals of a head, then their regions through a frozen CLIP.

B batch, Q queries, K classes, H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from rein_seg.building import building
from rein_seg.errors import UserError
from rein_seg.heads.proposals import ProposalHead
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.models.open_vocabulary import check_open
from rein_seg.models.padding import pad_reflecting
from rein_seg.models.regions import RegionCLIP, join_scores, segment
from rein_seg.models.regions.clip import check_same_clip, check_tower
from rein_seg.models.segmentor import PEFTSegmentor
from rein_seg.models.text_config import build_text
from rein_seg.rules import Probability
from rein_seg.text import TextBranch
from rein_seg.text.names import Names


@MODELS.register_module()
class TwoStageSegmentor(PEFTSegmentor):
    """A `PEFTSegmentor` whose proposals are classified a second time, by `RegionCLIP`.

    Training is the first stage alone. At inference the classes of queries and of regions are
    joined (`join_scores`), and a pixel gets the sum over queries of class score times mask.

    Args:
        backbone: See `PEFTSegmentor`.
        decode_head: A head with proposals, such as `MaskFormerHead`; else see `PEFTSegmentor`.
        regions: Config of the second stage, a `RegionCLIP`.
        ensemble_weight: w, exponent of the query's probability for seen classes, 0 to 1.
        seen: Names of the classes with the exponents of seen classes; names that the data lack do
            not matter. None: all classes but the unseen of the benchmark, and none of them if the
            benchmark lists no unseen classes.
        use_regions: Whether inference has the second stage; without it the proposals alone.
        **options: Of `PEFTSegmentor`; ``text`` is needed.

    Attributes:
        lists_seen: Whether the unseen classes of the text branch say which classes are seen.

    Raises:
        UserError: As `PEFTSegmentor` and `RegionCLIP`, or if the head makes no proposals, the text
            of the regions is of another CLIP or has prompts that would never train, or
            ``ensemble_weight`` is not from 0 to 1.

    Source: Xu et al., "A Simple Baseline for Open-Vocabulary Semantic Segmentation with
    Pre-trained Vision-Language Model" (ECCV 2022).

    Example:
        >>> import torch
        >>> from mmseg.registry import MODELS
        >>> import rein_seg.apis
        >>> encoder = dict(type='TinyCLIP', checkpoint='package:tinyclip.safetensors')
        >>> sizes = dict(num_queries=5, num_layers=1, embed_dims=32, mask_dims=16, num_heads=2)
        >>> model = MODELS.build(dict(type='TwoStageSegmentor', num_classes=2,
        ...     backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen')),
        ...     decode_head=dict(type='MaskFormerHead', **sizes),
        ...     text=dict(type='ClassTable', classes=['road', 'sky'], unseen=['sky']),
        ...     regions=dict(type='RegionCLIP', size=64))).eval()
        >>> with torch.no_grad():
        ...     model.whole_inference(torch.randn(1, 3, 50, 70)).shape
        torch.Size([1, 2, 50, 70])
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        *,
        regions: Mapping[str, Any],
        ensemble_weight: Probability = 0.8,
        seen: Sequence[str] | None = None,
        use_regions: bool = True,
        **options: Any,
    ) -> None:
        if not 0 <= ensemble_weight <= 1:
            raise UserError(
                f'model.ensemble_weight={ensemble_weight}: expected an exponent from 0 (regions '
                'alone) to 1 (queries alone for seen classes); the paper has 0.4 to 0.8'
            )
        self.further_parts = {'regions': regions}
        super().__init__(backbone, decode_head, **options)
        if not isinstance(self.heads['decode'], ProposalHead):
            raise UserError(
                f'model.decode_head={decode_head["type"]!r} proposes no masks, whose regions the '
                "second stage reads: expected MaskFormerHead; take it, or type='PEFTSegmentor'"
            )
        self.ensemble_weight, self.use_regions = ensemble_weight, use_regions
        self.seen = None if seen is None else tuple(seen)
        with building('model.regions'):
            self.regions: RegionCLIP = MODELS.build(dict(regions))
            self._check_regions(backbone['encoder'], regions)
        self.regions.requires_grad_(False)
        assert self.text is not None  # else RegionCLIP's facts were missing
        self.lists_seen = bool(self.text.unseen)

    def _check_regions(self, encoder: Mapping[str, Any], regions: Mapping[str, Any]) -> None:
        """Checks the tower, and builds the text of the regions where it is another."""
        own = regions.get('encoder') or encoder
        check_tower(self.tower, self.regions.size)
        if self.regions.text_cfg is not None:
            self.regions.words = self._region_text(self.regions.text_cfg, own)
        text = self.regions.words or self.text
        assert text is not None
        check_same_clip(text, self.tower, own)

    def _region_text(self, cfg: Mapping[str, Any], encoder: Mapping[str, Any]) -> TextBranch:
        text = self.text
        assert text is not None
        names = dict(zip(text.classes, map(list, text.words), strict=True))
        filled = {'classes': list(text.classes), 'names': names, **cfg}
        with building('model.regions.text'):
            words = build_text(filled, encoder, len(text.classes), self.tower.joint_dims)
        if any(param.requires_grad for param in words.parameters()):
            raise UserError(
                f'model.regions.text={cfg.get("type")!r} has prompts that learn, and regions serve '
                'inference alone: expected learned prompts; set model.regions.text.prompts to the '
                'adapter of their training'
            )
        return words

    @property
    def tower(self) -> PEFTBackbone:
        """The backbone whose frozen encoder reads the regions."""
        return self.regions.backbone or self.backbone

    @property
    def identity(self) -> dict[str, Any]:
        """The facts that weights must share with this model, the region tower among them."""
        words = self.regions.words
        regions: dict[str, Any] = {'encoder': self.tower.encoder_info.identity}
        if words is not None:
            regions['text'] = words.identity
        return {**super().identity, 'regions': regions}

    @property
    def has_open_vocabulary(self) -> bool:
        """Whether `set_classes` works."""
        words = self.regions.words
        return super().has_open_vocabulary and (words is None or words.open_vocabulary)

    def set_classes(
        self,
        classes: Sequence[str],
        unseen: Sequence[str] | None = None,
        names: Names | None = None,
    ) -> None:
        """Predicts other classes from now on; see `PEFTSegmentor.set_classes`.

        Raises:
            UserError: If a stage has weights for each class, or the names are wrong; the model is
                then as it was.
        """
        words = self.regions.words
        if words is None:
            super().set_classes(classes, unseen, names)
        else:
            if not words.open_vocabulary:
                check_open('the text of its regions has embeddings of its own classes alone')
            before = words.classes, dict(zip(words.classes, words.words, strict=True))
            words.set_classes(classes, (), names)
            try:
                super().set_classes(classes, unseen, names)
            except UserError:
                words.set_classes(before[0], (), before[1])
                raise
        self.lists_seen = True

    def seen_classes(self) -> Tensor:
        """Returns (K,) bool: the classes with the exponents of seen classes."""
        text = self.text
        assert text is not None
        if self.seen is not None:
            flags = [name in self.seen for name in text.classes]
        else:
            flags = [self.lists_seen and k not in text.unseen for k in range(len(text.classes))]
        return torch.tensor(flags, device=next(self.parameters()).device)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict] | None = None) -> Tensor:
        """Returns (B, K, H, W) scores of (B, 3, H, W) normalised images, of both stages.

        Args:
            inputs: The images.
            batch_img_metas: Not read; mmseg passes them.
        """
        return self._both_stages(inputs, inputs)

    def whole_inference(self, inputs: Tensor, batch_img_metas: list[dict] | None = None) -> Tensor:
        """Returns (B, K, H, W) scores of whole images, of any size; regions have no padding.

        Args:
            inputs: (B, 3, H, W) normalised images.
            batch_img_metas: Not read; mmseg passes them.
        """
        anatomy = self.backbone.anatomy
        padded = pad_reflecting(inputs, anatomy.divisor, anatomy.smallest_side)
        return self._both_stages(padded, inputs)

    def _both_stages(self, padded: Tensor, inputs: Tensor) -> Tensor:
        (height, width), head = inputs.shape[-2:], self.heads['decode']
        assert isinstance(head, ProposalHead)
        size = padded.shape[-2], padded.shape[-1]
        classes, masks = head.propose(self.extract_feat(padded), size)
        masks = masks[..., :height, :width].float().sigmoid()
        if self.use_regions:
            scores = self._joined(self.pixels(inputs), classes, masks)
        else:
            scores = list(classes.float().softmax(-1)[..., :-1])
        return torch.stack([segment(*one) for one in zip(scores, masks, strict=True)])

    def _joined(self, images: Tensor, classes: Tensor, masks: Tensor) -> list[Tensor]:
        """Returns the (Q, K) scores of each image."""
        text, seen = self.regions.words or self.text, self.seen_classes()
        assert text is not None
        table, results = text(), []
        for image, logits, mask in zip(images, classes, masks, strict=True):
            regions, valid = self.regions(image, mask, table, self.tower)
            results.append(
                join_scores(logits, regions, valid, weight=self.ensemble_weight, seen=seen)
            )
        return results

    def pixels(self, inputs: Tensor) -> Tensor:
        """Returns images in 0..255, as they were before the preprocessor normalised them."""
        buffers = dict(self.data_preprocessor.named_buffers())
        if 'mean' not in buffers:
            return inputs
        return inputs * buffers['std'] + buffers['mean']
