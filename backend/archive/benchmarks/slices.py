"""The files of the benchmark: series of CT slices, 512×512, explicit little endian."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.1591.77"
SIDE = 512


@dataclass(frozen=True)
class Files:
    """A series on disk."""

    study: str
    series: str
    sops: list[str]
    paths: list[Path]


def write_series(folder: Path, count: int, number: int) -> Files:
    """Write `count` slices of noise around soft tissue (hard to compress, as real CT is)."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(number)
    tissue = random.normal(40, 12, (SIDE, SIDE)).astype(np.int16)
    study, series = f"{ROOT}.{number}", f"{ROOT}.{number}.1"
    sops, paths = [], []
    for index in range(count):
        sop = f"{series}.{index + 1}"
        path = folder / f"{index:05}.dcm"
        pixels = np.roll(tissue, (index * 7, index * 3), (0, 1)) + 1024
        dcmwrite(path, _slice(study, series, sop, index, pixels), enforce_file_format=True)
        sops.append(sop)
        paths.append(path)
    return Files(study, series, sops, paths)


def _slice(study: str, series: str, sop: str, index: int, pixels: np.ndarray) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = sop
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, sop
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260301"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.AccessionNumber, ds.Modality, ds.Manufacturer = "A1", "CT", "Phantom Works"
    ds.ReferringPhysicianName = "Referrer^Rhea"
    ds.StudyDescription, ds.SeriesDescription = "Neck with contrast", "Neck 1.0 soft"
    ds.PatientName, ds.PatientID = "Bench^Mark", "BENCH-1"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19600101", "F", "066Y"
    ds.BodyPartExamined, ds.SliceThickness, ds.KVP = "NECK", 1.0, 120.0
    ds.ContrastBolusAgent, ds.ConvolutionKernel = "Iodine", "SOFT"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", 1, index + 1
    ds.ImagePositionPatient = [-128.0, -128.0, float(index)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID = f"{study}.9"
    ds.SliceLocation, ds.PixelSpacing = float(index), [0.5, 0.5]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = SIDE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = 60.0, 350.0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024.0, 1.0, "HU"
    ds.PixelData = pixels.astype("<u2").tobytes()
    return ds
