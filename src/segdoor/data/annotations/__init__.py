"""Label maps that are drawn from annotations (COCO, panoptic, YOLO), and how these are changed."""
