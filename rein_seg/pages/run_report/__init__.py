"""The report of one run as a page that opens from disk."""

from rein_seg.pages.run_report.page import report_page

__all__ = ['report_page']
