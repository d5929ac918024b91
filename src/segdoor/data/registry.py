"""The data sets by name."""

from __future__ import annotations

from segdoor.data.annotations.coco import Coco
from segdoor.data.annotations.yolo import Yolo
from segdoor.data.camvid import CamVid
from segdoor.data.cityscapes import Cityscapes
from segdoor.data.dataset import DataSet
from segdoor.data.folder import Folder
from segdoor.data.street.plugin import Street
from segdoor.data.voc import Voc
from segdoor.plugins import Registry

DATASETS = Registry(
    "data set",
    DataSet,
    "data.name",
    {
        "street": Street,
        "camvid": CamVid,
        "voc": Voc,
        "cityscapes": Cityscapes,
        "folder": Folder,
        "coco": Coco,
        "yolo": Yolo,
    },
)
"""The data sets by name; add one by a file beside this one and a line here."""
