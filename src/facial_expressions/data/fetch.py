"""Fetches FER-2013 from Kaggle, for those who are online and have the extra ``fetch``."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from types import ModuleType
from typing import Final

from facial_expressions.errors import DatasetError, first_line, needs_extra

KAGGLE_DATASET: Final = "msambare/fer2013"
"""Handle of the data set on Kaggle, under the Database Contents License."""

_log = logging.getLogger(__name__)


def fetch_fer2013() -> Path:
    """Download FER-2013 in the Kaggle layout, or find what was downloaded before.

    Returns:
        The folder that holds ``train`` and ``test``, in kagglehub's own cache.

    Raises:
        MissingExtraError: kagglehub is not installed.
        DatasetError: The download failed.
    """
    with needs_extra("fetch"):
        kagglehub = importlib.import_module("kagglehub")
    _log.info("fetching %s from Kaggle", KAGGLE_DATASET)
    unavailable: tuple[type[Exception], ...] = (OSError, ValueError, *_own_errors(kagglehub))
    try:
        return Path(kagglehub.dataset_download(KAGGLE_DATASET))
    except unavailable as error:
        raise DatasetError(
            f"{KAGGLE_DATASET}: cannot be downloaded: {first_line(error)[:160]}. Check the "
            f"network, or get the zip from https://www.kaggle.com/datasets/{KAGGLE_DATASET}"
        ) from error


def _own_errors(kagglehub: ModuleType) -> tuple[type[Exception], ...]:
    """Return kagglehub's exceptions; they share no root. Requests' errors are OSErrors."""
    values = vars(kagglehub.exceptions).values()
    return tuple(v for v in values if isinstance(v, type) and issubclass(v, Exception))
