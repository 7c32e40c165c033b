"""Metrics by domain."""

from rein_seg.evaluation.domain_iou import DomainIoUMetric
from rein_seg.evaluation.tables import class_table, domain_table

__all__ = ['DomainIoUMetric', 'class_table', 'domain_table']
