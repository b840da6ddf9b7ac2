"""The report step: an analysis folder to one page that opens offline.

May import `motifs`, `results`, `settings` and `files`, and the words of `inspection`; never the engine.
"""

from genolift.report.page import ReportSummary, write_report

__all__ = ["ReportSummary", "write_report"]
