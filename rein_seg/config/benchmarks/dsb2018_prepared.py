"""Nuclei of the 2018 Data Science Bowl in the folders of DuAT's authors, a mask for each image."""

from __future__ import annotations

from rein_seg.config.benchmarks.isic2018_prepared import prepared

BENCHMARK = prepared('dsb2018_prepared', 'nucleus', 'dsb2018', 'DSB-2018')
