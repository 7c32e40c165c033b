"""CLIP's image tower, and the names of its files.

B batch, N patch tokens, C channels, H x W grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from rein_seg.encoders.checks import check_flag
from rein_seg.encoders.clip.names import SYSTEM, without_text
from rein_seg.encoders.plain_vit.anatomy import vit_anatomy
from rein_seg.encoders.plain_vit.joint import check_joint, joint_space, norm_of_joint
from rein_seg.encoders.plain_vit.model import PlainViT, make_arch
from rein_seg.encoders.plain_vit.weights import PATCH, fit_plain_vit
from rein_seg.encoders.weights import Converted, leave_out, rename
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy, register_key_map

ARCHS = {'base': make_arch(768, 12, 12), 'large': make_arch(1024, 24, 16)}
_ACTS = {'quick_gelu': 'mmpretrain.QuickGELU', 'gelu': 'GELU'}


@MODELS.register_module()
class CLIPViT(PlainViT):
    """CLIP's vision transformer: a norm before the blocks, QuickGELU, no patch bias.

    Without the last norm, unless ``final_norm`` keeps it, and without the projection behind it,
    which turns tokens into the space shared with text, unless ``joint_dims`` is given.

    Args:
        arch: base or large, or a dict; see `PlainViT`.
        img_size: Side in pixels, or (height, width), of the stored grid of positions.
        patch_size: Side in pixels; the kernel of a file with another side is resized.
        out_indices: Blocks whose outputs are returned; default: the choice of Rein.
        out_type: ``featmap``, or ``raw`` for whole sequences.
        class_embedding_twice: Adds the class embedding to its own position, too, as Rein's code
            does; the original adds it once.
        joint_dims: D of the joint embedding of `Features`, from the file's ``ln_post`` and
            ``proj``: 512 for ViT-B, 768 for ViT-L. Blocks behind the last output run, too. None:
            no joint embedding.
        act: quick_gelu (OpenAI's towers), or gelu (OpenCLIP's, trained on LAION).
        drop_path_rate: As `PlainViT`; of a tower that trains whole.
        final_norm: Applies the file's ``ln_post`` to each output. Beside ``joint_dims`` it is a
            module of its own, with the same values.

    Shapes:
        (B, 3, H p, W p) -> (B, C, H, W) for each output; ``raw``: (B, 1+N, C).

    Raises:
        UserError: If an argument is not as above.

    Source: Radford et al., ICML 2021. Differs from it, as the code of Rein, DenseCLIP and ZegCLIP
    does: positions are resized (bilinearly, by size), the class embedding enters twice, and all
    tokens are projected, not the class token alone.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.clip import CLIPViT
        >>> sizes = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
        >>> encoder = CLIPViT(sizes, img_size=64)
        >>> [tuple(x.shape) for x in encoder(torch.zeros(1, 3, 64, 96))]
        [(1, 32, 4, 6), (1, 32, 4, 6)]
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'large',
        *,
        img_size: int | Sequence[int] = 512,
        patch_size: int = 16,
        out_indices: Sequence[int] | None = None,
        out_type: str = 'featmap',
        class_embedding_twice: bool = True,
        joint_dims: int | None = None,
        act: str = 'quick_gelu',
        drop_path_rate: float = 0.0,
        final_norm: bool = False,
    ) -> None:
        if act not in _ACTS:
            raise UserError(f'encoder.act={act!r}: expected one of {tuple(_ACTS)}')
        check_flag('class_embedding_twice', class_embedding_twice)
        super().__init__(
            arch,
            archs=ARCHS,
            img_size=img_size,
            patch_size=patch_size,
            out_indices=out_indices,
            out_type=out_type,
            final_norm=final_norm,
            interpolate_mode='bilinear',
            norm_cfg=dict(type='LN', eps=1e-5),
            pre_norm=True,
            drop_path_rate=drop_path_rate,
            layer_cfgs=dict(act_cfg=dict(type=_ACTS[act])),
        )
        self.class_embedding_twice = class_embedding_twice
        self.joint = joint_space(self.embed_dims, joint_dims)

    def class_token(self) -> Tensor:
        """Returns the class embedding, or twice it, (1, 1, C)."""
        return self.cls_token * 2 if self.class_embedding_twice else self.cls_token

    def as_mmpretrain(self) -> dict[str, Any]:
        """Returns the arguments of mmpretrain's own class; see `PlainViT`."""
        if self.class_embedding_twice:
            raise UserError(
                "mmpretrain's VisionTransformer adds the class embedding once, this encoder twice "
                '(class_embedding_twice=True); take the official layout'
            )
        return super().as_mmpretrain()


_RULES = (
    (r'^conv1\.', 'patch_embed.projection.'),
    (r'^class_embedding$', 'cls_token'),
    (r'^positional_embedding$', 'pos_embed'),
    (r'^ln_pre\.', 'pre_norm.'),
    (r'^transformer\.resblocks\.', 'layers.'),
    (r'^(layers\.\d+)\.ln_([12])\.', r'\1.ln\2.'),
    (r'\.attn\.in_proj_(weight|bias)$', r'.attn.qkv.\1'),
    (r'\.attn\.out_proj\.', '.attn.proj.'),
    (r'\.mlp\.c_fc\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.c_proj\.', '.ffn.layers.1.'),
)

register_anatomy(CLIPViT)(vit_anatomy)


@register_key_map(CLIPViT)
def convert_clip(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Converts a file of OpenAI or OpenCLIP, the image tower alone, or mmpretrain's own names.

    A whole CLIP of mmpretrain has its last norm as ``visual.ln1``, its projection beside the tower.
    Names can have a prefix such as ``module.``, which OpenCLIP's training writes, or ``backbone.``
    in checkpoints of DenseCLIP and ZegCLIP. The text tower is left out, without ``joint_dims`` the
    projection of the image tower, and its last norm, if the encoder has none.

    Raises:
        UserError: If the file is of another size, or lacks a joint space or last norm that the
            encoder needs.
    """
    official = any(name.endswith('class_embedding') for name in state)
    tensors, text = without_text(state, 'class_embedding' if official else 'cls_token')
    _refuse_resnet(tensors)
    if 'visual_proj.proj' in tensors:
        tensors = rename(tensors, ((r'^ln1\.', 'ln_post.'), (r'^visual_proj\.', '')))
    own_names = PATCH in tensors
    if encoder.final_norm:
        tensors = norm_of_joint(tensors, 'ln_post', 'joint.ln_post')
    if encoder.joint is not None:
        tensors = rename(tensors, ((r'^(ln_post\.|proj$)', r'joint.\1'),))
    norms = 'ln_post' if encoder.final_norm else 'ln_post|ln1'
    tensors, unused = leave_out(tensors, rf'proj$|({norms}|head)\.|{SYSTEM}')
    if encoder.joint is None:
        tensors, joint = leave_out(tensors, r'joint\.')
        unused = (*unused, *joint)
    tensors = rename(tensors, _RULES)
    for name in ('cls_token', 'pos_embed'):  # officially (C) and (1+N, C), here with a batch axis
        if name in tensors:
            tensors[name] = tensors[name].reshape(1, -1, tensors[name].shape[-1])
    _check_patch(encoder, tensors)
    left_out = (*text, *unused)
    fitted = fit_plain_vit(encoder, tensors, left_out, own_names=own_names)
    if fitted is not None and encoder.joint is not None:
        check_joint(encoder, fitted.tensors, 'joint.proj')
    return fitted or Converted(state)


def _check_patch(encoder: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Refuses ViT-B/32 for a patch of 16: resized that far, a kernel sees something else."""
    side = tensors[PATCH].shape[-1] if PATCH in tensors else None
    own = encoder.patch_embed.projection.kernel_size[-1]
    if side is not None and max(side, own) >= 2 * min(side, own):
        raise UserError(
            f'the weights file is of patch {side}, the encoder of patch_size={own}: set '
            f'encoder.patch_size={side}, or take a file of patch {own}'
        )


def _refuse_resnet(tensors: Mapping[str, Tensor]) -> None:
    if 'layer1.0.conv1.weight' in tensors:
        raise UserError(
            "the weights file is a ResNet, the encoder a CLIPViT: use type='CLIPResNet', or take a "
            "file such as OpenAI's ViT-B-16.pt"
        )
