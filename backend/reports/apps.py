"""Case reports and verified exports of what was signed."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """The reports room."""

    name = "backend.reports"

    def ready(self) -> None:
        """Tell the rooms below: where reports are, and what the work process does every second."""
        from backend.archive import registry as archive
        from backend.jobs import registry as jobs
        from backend.reading import registry as reading
        from backend.reports import named_blobs
        from backend.reports.exporting import offer_again
        from backend.reports.pushing import export_to_push
        from backend.reports.reporting import offer_reports_again
        from backend.reports.selectors import report_links

        reading.report_links.append(report_links)
        archive.exports_to_push.append(export_to_push)
        jobs.every_second += [offer_again, offer_reports_again]
        named_blobs.register_all()
