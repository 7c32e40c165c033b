"""Metrics: scores of each domain and their mean over the target domains."""

from rein_seg.evaluation.binary import BinarySegMetric
from rein_seg.evaluation.by_domain import ScoresByDomain, find_domain_metric, metric_class
from rein_seg.evaluation.domain_iou import DomainIoUMetric
from rein_seg.evaluation.domain_metric import DomainMetric
from rein_seg.evaluation.image_accuracy import ImageAccuracy
from rein_seg.evaluation.image_metric import ImageMetric
from rein_seg.evaluation.image_recall import RecallAtK
from rein_seg.evaluation.overlap import OverlappingEvaluator
from rein_seg.evaluation.seen_unseen import SeenUnseenIoU
from rein_seg.evaluation.submission import SubmissionWriter
from rein_seg.evaluation.tables import (
    class_table,
    domain_table,
    protocol_table,
    score_text,
    unit_of,
)
from rein_seg.evaluation.volume import VolumeSegMetric

__all__ = [
    'BinarySegMetric',
    'DomainIoUMetric',
    'DomainMetric',
    'ImageAccuracy',
    'ImageMetric',
    'OverlappingEvaluator',
    'RecallAtK',
    'ScoresByDomain',
    'SeenUnseenIoU',
    'SubmissionWriter',
    'VolumeSegMetric',
    'class_table',
    'domain_table',
    'find_domain_metric',
    'metric_class',
    'protocol_table',
    'score_text',
    'unit_of',
]
