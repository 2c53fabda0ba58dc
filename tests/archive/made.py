"""DICOM files made for tests: known pixels, any fault wanted."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
ROWS, COLUMNS = 12, 16


def values(index: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The stored values of slice `index`: different in every slice."""
    plane = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + 7 * index
    return plane.astype(np.int16)


def ct_slice(index: int = 0, *, study: str, series: str, **changes: Any) -> Dataset:
    """One axial CT slice of 12 × 16 pixels, 2.5 mm apart; `changes` set or (None) delete tags."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = f"{series}.{index + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.FrameOfReferenceUID = f"{study}.9"
    ds.Modality = "CT"
    ds.PatientName, ds.PatientID = "Planted^Name", "PID-1"
    ds.PatientBirthDate, ds.PatientSex = "19600520", "F"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20240519", "101500", "ACC-1"
    ds.StudyDescription, ds.SeriesDescription = "CT neck", "venous 2.5"
    ds.StudyID, ds.ReferringPhysicianName = "1", "Doctor^Planted"
    ds.SeriesNumber, ds.InstanceNumber = 2, index + 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Manufacturer, ds.BodyPartExamined = "Maker", "NECK"
    ds.ContrastBolusAgent = "Iomeron"
    ds.SliceThickness = 2.5
    ds.ImagePositionPatient = [-8.0, -6.0, 10 + 2.5 * index]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [0.8, 0.8]
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    ds.WindowCenter, ds.WindowWidth = 60, 350
    ds.PixelData = values(index).tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def ct_series(count: int = 5, **changes: Any) -> list[Dataset]:
    """A series of slices with new UIDs."""
    study, series = generate_uid()[:56], generate_uid()[:56]
    return [ct_slice(i, study=study, series=series, **changes) for i in range(count)]


def encoded(dataset: Dataset) -> bytes:
    """The dataset as the bytes of a file."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def written(folder: Path, datasets: list[Dataset]) -> Path:
    """The datasets as files 00.dcm, 01.dcm … in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        (folder / f"{number:02}.dcm").write_bytes(encoded(dataset))
    return folder


def address(dataset: Dataset, *, deep: bool = True) -> str:
    """The DICOMweb path of the dataset's instance, or of its series."""
    path = f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
    return f"{path}/instances/{dataset.SOPInstanceUID}" if deep else path
