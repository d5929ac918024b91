"""Array shapes as types, and the one legend of axis names.

``B`` batch, ``N`` scenes, ``C`` channels, ``H`` height in pixels, ``W`` width in pixels,
``K`` classes, ``O`` objects. Suffixed names such as ``image_HWC`` are used inside maths only.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, UInt8

Image: TypeAlias = UInt8[np.ndarray, "H W 3"]
"""An RGB picture, 0 to 255."""

Rgba: TypeAlias = UInt8[np.ndarray, "h w 4"]
"""An RGB picture with straight (not premultiplied) alpha, 0 to 255."""

AnyRgba: TypeAlias = UInt8[np.ndarray, "_ _ 4"]
"""Such a picture among others of other sizes."""

Label: TypeAlias = UInt8[np.ndarray, "H W"]
"""One class id a pixel; the class set's ignore index marks pixels that never count."""

InstanceIds: TypeAlias = Int32[np.ndarray, "H W"]
"""The number of the object that each pixel belongs to; 0 where the data set names none."""

ResizedIds: TypeAlias = Int32[np.ndarray, "h w"]
"""The same at another size."""

ResizedImage: TypeAlias = UInt8[np.ndarray, "h w 3"]
"""An RGB picture of another size."""

AnyImage: TypeAlias = UInt8[np.ndarray, "_ _ 3"]
"""An RGB picture among others of other sizes."""

ResizedLabel: TypeAlias = UInt8[np.ndarray, "h w"]
"""A label map of another size."""

Values: TypeAlias = UInt8[np.ndarray, "V"]  # pyright: ignore[reportUndefinedVariable]
"""Label values."""

Mask: TypeAlias = Bool[np.ndarray, "H W"]
"""One yes or no a pixel."""

AnyMask: TypeAlias = Bool[np.ndarray, "_ _"]
"""One yes or no a pixel, among others of other sizes."""

AnyLabel: TypeAlias = UInt8[np.ndarray, "_ _"]
"""A label map among others of other sizes."""

Heat: TypeAlias = Float64[np.ndarray, "_ _"]
"""One figure a pixel of an image of any size."""

SquaredDistance: TypeAlias = Int64[np.ndarray, "H W"]
"""Exact squared Euclidean distances in pixels squared."""

Indices: TypeAlias = Int64[np.ndarray, "P"]  # pyright: ignore[reportUndefinedVariable]
"""Rows, columns or squared distances of positions."""

EdgeIndices: TypeAlias = Int64[np.ndarray, "E"]  # pyright: ignore[reportUndefinedVariable]
"""Rows or columns of pixels at an edge."""

Table: TypeAlias = Int64[np.ndarray, "K K"]
"""Pixel counts: row = true class, column = predicted class."""

Tables: TypeAlias = Int64[np.ndarray, "N K K"]
"""One table a scene."""

ObjectCounts: TypeAlias = Int64[np.ndarray, "O 5"]
"""Rows of objects: scene, class, pixels, pixels lost to the target class, pixels kept."""

ObjectDistances: TypeAlias = Float64[np.ndarray, "O"]  # pyright: ignore[reportUndefinedVariable]
"""One distance an object in pixels, NaN without a trigger."""

ObjectMask: TypeAlias = Bool[np.ndarray, "O"]
"""One yes or no an object."""

ClassScores: TypeAlias = Float64[np.ndarray, "K"]
"""One figure a class, NaN where it is undefined."""

Suspicions: TypeAlias = Float64[np.ndarray, "_"]
"""How suspicious cases are, one score each: higher for more."""

ChannelMeans: TypeAlias = Float64[np.ndarray, "C"]  # pyright: ignore[reportUndefinedVariable]
"""One figure a channel of a layer."""
