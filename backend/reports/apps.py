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
        from backend.reports.training import keeping
        from backend.reports.training import pages as training_pages
        from backend.reports.training import selectors as trainings
        from backend.reports.trial_pages import model_panel, trial_panel
        from backend.reports.trying import offer_model_comparisons

        reading.report_links.append(report_links)
        archive.exports_to_push.append(export_to_push)
        jobs.every_second += [offer_again, offer_reports_again, offer_model_comparisons]
        jobs.model_panels += [training_pages.model_panel, model_panel]
        jobs.models_panels.append(training_pages.models_panel)
        jobs.run_panels += [trial_panel, training_pages.run_panel]
        jobs.on_run_changed.append(keeping.on_run_changed)
        jobs.series_opened.append(trainings.series_opened)
        jobs.runs_seen_by.append(trainings.runs_seen_by)
        jobs.runs_managed_by.append(trainings.runs_managed_by)
        named_blobs.register_all()
