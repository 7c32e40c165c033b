"""The doctor: reads all data of a benchmark and reports every fault, not only the first.

`check_data` does it, `write_report` leaves its files, `report_text` is what the tool prints.
"""

from rein_seg.data_check.check import check_data
from rein_seg.data_check.report import report, report_text
from rein_seg.data_check.sources import read_parts
from rein_seg.data_check.write import write_report

__all__ = ['check_data', 'read_parts', 'report', 'report_text', 'write_report']
