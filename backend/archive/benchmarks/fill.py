"""`python -m backend.archive.benchmarks.fill COUNT`: index studies until there are so many."""

from __future__ import annotations

import os
import sys
from datetime import date, timedelta

import django


def fill(count: int) -> None:
    """Add studies of one series and one instance each; no files behind them."""
    from django.db import connections, transaction
    from django.utils import timezone

    from backend.archive.models import Door, Instance, Receipt, Series, Study

    missing = range(Study.objects.count(), count)
    now = timezone.now()
    with transaction.atomic():
        receipt = Receipt.objects.create(source="benchmark", door=Door.RECEIVE, closed_at=now)
        studies = Study.objects.bulk_create(
            Study(
                uid=f"1.2.826.0.1.3680043.10.1591.78.{n}",
                date=date(2021, 1, 1) + timedelta(days=n % 1500),
                description=f"Neck {n % 17}",
                patient_id=f"P{n}",
                patient_name=f"Name{n % 997}^First",
            )
            for n in missing
        )
        series = Series.objects.bulk_create(
            Series(study=s, uid=f"{s.uid}.1", number=1, modality="CT", received_at=now)
            for s in studies
        )
        Instance.objects.bulk_create(
            Instance(
                series=s,
                receipt=receipt,
                sop_uid=f"{s.uid}.1",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                transfer_syntax="1.2.840.10008.1.2.1",
                blob="0" * 64,
                size=1,
                metadata={},
            )
            for s in series
        )
    with connections["owner"].cursor() as cursor:  # As Postgres itself does within a minute.
        cursor.execute("analyze archive_study, archive_series, archive_instance")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    django.setup()
    fill(int(sys.argv[1]))
