"""Reads all data of a benchmark and reports every fault, not only the first.

`check_data` reads, `write_report` writes ``check_data.json`` and the sheet of overlays,
`report_text` gives the text that the command prints.

Example:
    >>> from pathlib import Path
    >>> import cv2
    >>> import numpy as np
    >>> from rein_seg.data_check import check_data, read_parts
    >>> for folder, names in (('images', 'ab'), ('labels', 'a')):
    ...     Path('leaves', folder).mkdir(parents=True)
    ...     for name in names:
    ...         _ = cv2.imwrite(f'leaves/{folder}/{name}.png', np.zeros((4, 4), np.uint8))
    >>> dataset = dict(type='FolderDataset', domain='leaves', data_root='leaves',
    ...                metainfo=dict(classes=('leaf', 'mould')))
    >>> _ = Path('leaves.py').write_text(f'train_dataloader = dict(dataset={dataset})')
    >>> (check,) = check_data(read_parts('leaves.py'))
    >>> check.found, [(fault.kind, fault.file) for fault in check.wrong]
    (2, [('image without label', 'leaves/images/b.png')])
"""

from rein_seg.data_check.check import check_data
from rein_seg.data_check.report import report, report_text
from rein_seg.data_check.sources import read_parts
from rein_seg.data_check.write import write_report

__all__ = ['check_data', 'read_parts', 'report', 'report_text', 'write_report']
