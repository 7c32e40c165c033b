"""Polyps of five hospitals: trained on PraNet's images of two, Kvasir and CVC-ClinicDB.

The mean is over the three that training never saw: CVC-300, CVC-ColonDB, ETIS. Every tenth training
image is held out and chooses the checkpoint.
"""

from __future__ import annotations

from dataclasses import replace

from rein_seg.config.benchmarks import binary_1024
from rein_seg.config.benchmarks.binary_1024 import pictures
from rein_seg.config.benchmarks.polyp import THING, TRAIN, tested

PROTOCOLS = ('duat352', 'duat352_official', *binary_1024.BENCHMARK.protocols)
# the weighted F takes most of the time, so validations leave it out
VAL_SCORES = ('Dice_curve', 'IoU_curve', 'MAE')
TEST_SCORES = ('Dice_curve', 'IoU_curve', 'wF', 'S', 'E', 'MAE', 'Dice', 'IoU')
FRAME = replace(
    binary_1024.BENCHMARK,
    protocols=PROTOCOLS,
    crop_size=None,
    test_cfg=None,
    batch_size=16,
    metric=dict(type='BinarySegMetric', metrics=VAL_SCORES),
    test_metric=dict(metrics=TEST_SCORES),
    epochs=297,  # of one size each: 99 of three sizes
)

BENCHMARK = replace(
    FRAME,
    name='polyp_five',
    train=(pictures('polyp', THING, dict(**TRAIN, part='train'), images=1305),),
    val=(pictures('polyp_val', THING, dict(**TRAIN, part='val'), images=145),),
    test=(
        tested('cvc300', 'CVC-300', 60),
        tested('colondb', 'CVC-ColonDB', 380),
        tested('etis', 'ETIS-LaribPolypDB', 196),
        tested('kvasir', 'Kvasir', 100),
        tested('cvc612', 'CVC-ClinicDB', 62),
    ),
    source='polyp_val',
    targets=('cvc300', 'colondb', 'etis'),
    selection=dict(metric='polyp_val/Dice_curve', rule='greater'),
)
