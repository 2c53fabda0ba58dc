"""The archive room."""

from django.apps import AppConfig


class ArchiveConfig(AppConfig):
    """Receives DICOM, judges what is a volume, serves DICOMweb."""

    name = "backend.archive"
    label = "archive"
