"""The archive room."""

from django.apps import AppConfig


class ArchiveConfig(AppConfig):
    """Receives DICOM, judges what is a volume, serves DICOMweb."""

    name = "backend.archive"
    label = "archive"

    def ready(self) -> None:
        """What the work process does every second, and which columns name blobs."""
        from backend.archive.content import models, references  # noqa: F401
        from backend.archive.remotes.carrying import offer_again
        from backend.archive.services import ask_again, judge_quiet_series
        from backend.archive.uploads import spool
        from backend.archive.uploads.services import end_old_uploads
        from backend.archive.volume import stored_grid
        from backend.jobs.registry import every_second, series_grids
        from backend.memory import keep_freed_memory

        keep_freed_memory()
        every_second += [judge_quiet_series, ask_again, end_old_uploads, offer_again]
        series_grids.append(stored_grid)
        spool.folder()
        references.register_all()
