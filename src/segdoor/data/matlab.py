"""Label maps of the Semantic Boundaries Dataset: MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdoor.data.pictures import MAX_PIXELS
from segdoor.errors import DataError, MachineError
from segdoor.tensors import Label

MAX_BYTES = 200_000
"""Larger files are refused unread: compressed ones grow up to a thousandfold, and those of SBD
have some ten thousand bytes."""


def read_matlab_label(path: Path) -> Label:
    """Read ``GTcls.Segmentation`` of a MATLAB file; nothing in it is run.

    Raises:
        DataError: If the file is missing, damaged, too large or holds no such label map.
        MachineError: If SciPy is not installed.
    """
    try:
        from scipy.io import loadmat  # noqa: PLC0415 - needed for these files alone
    except ImportError:
        raise MachineError(
            path,
            "MATLAB files need SciPy",
            remedy="Install it: pip install scipy. A folder SegmentationClassAug needs none.",
        ) from None
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise DataError(
            path, f"may have at most {MAX_BYTES} bytes", path.stat().st_size, "Replace the file."
        )
    try:
        content = loadmat(path, variable_names=["GTcls"])
        stored = np.asarray(content["GTcls"]["Segmentation"][0, 0])
    except MemoryError:
        raise
    # Damaged files make SciPy raise almost anything.
    except Exception as why:  # noqa: BLE001
        raise DataError(
            path, "must be an intact MATLAB file with GTcls.Segmentation", why, "Replace the file."
        ) from None
    if stored.dtype != np.uint8 or stored.ndim != 2 or not 0 < stored.size <= MAX_PIXELS:
        found = f"{stored.dtype} {stored.shape}"
        raise DataError(
            path, "GTcls.Segmentation must be a map of 8-bit class ids", found, "Replace the file."
        )
    return np.ascontiguousarray(stored)
