"""What can be done with the archive: receive, judge, load. The list of verbs."""

from backend.archive.deidentify.doors import is_deidentified, names_of, shift_days
from backend.archive.deriving import ask_again, bind, derive
from backend.archive.display import display_parts, measure_of
from backend.archive.judging import judge_again, judge_batch, judge_quiet_series, judge_series
from backend.archive.origins import set_deidentify
from backend.archive.receipts import close_receipt, open_receipt
from backend.archive.receiving import receive, store_instances, take_upload
from backend.archive.storing import read_dataset
from backend.archive.taking import Taken
from backend.archive.volume import (
    grid_of,
    load_volume,
    sampled_slices,
    source_datasets,
    source_headers,
    volume_parts,
)

__all__ = [
    "Taken",
    "ask_again",
    "bind",
    "close_receipt",
    "derive",
    "display_parts",
    "grid_of",
    "is_deidentified",
    "judge_again",
    "judge_batch",
    "judge_quiet_series",
    "judge_series",
    "load_volume",
    "measure_of",
    "names_of",
    "open_receipt",
    "read_dataset",
    "receive",
    "sampled_slices",
    "set_deidentify",
    "shift_days",
    "source_datasets",
    "source_headers",
    "store_instances",
    "take_upload",
    "volume_parts",
]
