"""The report step: an analysis folder to one page that opens offline. Knows nothing of the engine."""

from genolift.report.page import ReportSummary, write_report

__all__ = ["ReportSummary", "write_report"]
