"""The reading room: projects, protocols, cases, masks, nodes, readings. The heart."""

from django.apps import AppConfig


class ReadingConfig(AppConfig):
    """The reading room, and what it registers with the rooms below."""

    name = "backend.reading"

    def ready(self) -> None:
        """Fill the registries of archive, jobs and audit."""
        from backend.archive import registry as archive
        from backend.archive import visibility as archive_visibility
        from backend.audit import registry as audit
        from backend.jobs import registry as jobs
        from backend.reading import (
            candidates,
            consensus_signatures,
            laid_out,
            named_blobs,
            selectors,
            services,
            signatures,
            visibility,
        )

        archive.on_study_ready.append(lambda study: services.open_cases(study=study))
        archive.volume_rules.append(candidates.anisotropy_refusal)
        archive.resample_rules.append(candidates.resamples_tilt)
        archive.where_next.append(selectors.cases_of_series)
        archive_visibility.register(visibility.series_seen_by)
        archive_visibility.register_scope("readings", visibility.series_of_reading)
        archive_visibility.register_scope("consensus", visibility.series_of_consensus)
        archive_visibility.register_uploader(visibility.may_upload)
        jobs.on_mask_put.append(laid_out.on_mask_put)
        jobs.on_run_changed.append(services.on_run_changed)
        jobs.on_run_changed.append(services.on_prompt_changed)
        jobs.runs_seen_by.append(visibility.runs_seen_by)
        jobs.runs_managed_by.append(visibility.runs_managed_by)
        jobs.opens_runs_page.append(visibility.opens_runs_page)
        jobs.manages_models.append(visibility.manages_models)
        jobs.default_of.append(visibility.protocols_by)
        jobs.every_second.append(services.offer_comparisons_again)
        jobs.every_second.append(services.give_up_on_prompts)
        jobs.every_second.append(services.settle_what_is_decided)
        audit.signed_records.append(signatures.signature_faults)
        audit.signed_records.append(consensus_signatures.consensus_faults)
        named_blobs.register_all()
