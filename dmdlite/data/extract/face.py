"""A face in a picture: found, cut out upright, 468 landmarks put on it, and followed from picture to picture.

The models are MediaPipe's full-range detector, its face mesh, and its model of one eye: a lid that closes moves the
mesh's lid by 6 % of the way, the eye model's by 43 %. Anchors, margins and thresholds are those of its graphs
(github.com/google-ai-edge/mediapipe, mediapipe/modules: face_detection/face_detection_full_range.pbtxt; iris_landmark/;
face_landmark/: _cpu, _landmarks_to_roi; face_detection_front_detection_to_roi).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dmdlite.data.extract.setup import extra, model_paths

INPUT, EYE_INPUT = 192, 64  # pixels of the side of the models' inputs: of the detector and the mesh; of the eye model
STRIDE = 4  # the detector has one anchor in the middle of every 4 × 4 pixels
CERTAIN, STILL_THERE = 0.405, 0.0  # least logits of a face, by the detector (60 %) and by the mesh (50 %)
MARGIN = 1.5  # the mesh is shown a square of this many times the face's longer side
OVERLAP = 0.3  # intersection over union, above which two detections are one face
LOOK_AGAIN = 25  # pictures after which the faces are counted again
SIDE, RISE = 4.9, 0.05  # of that square, and of its middle above that of the landmarks, in root mean squares of these
OUTER_CORNERS = (33, 263)  # landmarks: of the right eye and of the left
EYE_MARGIN = 2.3  # the eye model is shown a square of this many times the distance of an eye's corners
OF_EYE = [*range(16), *range(64, 70)]  # of the 71 points of the eye model: the edge of the lids, and the brow
EYES = (  # their landmarks, right and left; the corners come first and ninth
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 70, 63, 105, 66, 107, 55],
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 300, 293, 334, 296, 336, 285],
)

Picture = UInt8[np.ndarray, "h w 3"]
Landmarks = Float[np.ndarray, "468 3"]  # x to the right, y down, z away from the camera, in pixels of the picture


@dataclass(frozen=True)
class Region:
    """A square of a picture, turned so that a face in it is upright."""

    centre: Float[np.ndarray, "2"]
    side: float
    angle: float = 0.0  # radians, clockwise as seen
    way: int = 1  # -1: mirrored

    @property
    def axes(self) -> Float[np.ndarray, "2 2"]:
        """Its right and its down, as steps (x, y) of the picture."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[self.way * cos, self.way * sin], [-sin, cos]])

    def cut(self, picture: Picture, size: int = INPUT) -> UInt8[np.ndarray, "size size 3"]:
        """What it shows, size × size pixels; black beyond the picture."""
        from PIL import Image

        (a, b), (c, d) = self.axes.T * self.side / size
        x, y = self.centre - np.array([a + b, c + d]) * size / 2
        return np.asarray(Image.fromarray(picture).transform((size, size), 0, (a, b, x, c, d, y), 2))  # bilinear

    def to_picture(self, points: Float[np.ndarray, "*points 2"], size: int = INPUT) -> Float[np.ndarray, "*points 2"]:
        """From pixels of the cut to pixels of the picture."""
        return (points / size - 0.5) * self.side @ self.axes + self.centre


class FaceFinder:
    """Follows the largest face; the detector looks when there is none to follow, and once a second to count faces.

    `seen`: the greatest number of faces that it found in one picture.
    """

    def __init__(self) -> None:
        with extra():
            from ai_edge_litert.interpreter import Interpreter
        with quiet():
            models = [Interpreter(model_path=str(path), num_threads=1) for path in model_paths()]
            for model in models:
                model.allocate_tensors()
        self._detector, self._mesh, self._eye = models
        self._region: Region | None = None
        self._pictures = self.seen = 0

    def __call__(self, picture: Picture) -> Landmarks | None:
        """The landmarks of the face; None if no face is seen."""
        points = None if self._region is None else self._look_twice(picture, self._region)
        if points is None or self._pictures % LOOK_AGAIN == 0:
            regions = self.detect(picture)
            self.seen = max(self.seen, len(regions), int(points is not None))
            points = self._look_twice(picture, regions[0]) if points is None and regions else points
        self._pictures += 1
        self._region = None if points is None else around(points)
        return None if points is None else self._with_eyes(picture, points)

    def detect(self, picture: Picture) -> list[Region]:
        """The faces of a picture, the largest first."""
        height, width = picture.shape[:2]
        whole = Region(np.array([width / 2, height / 2]), float(max(height, width)))
        boxes, scores = _run(self._detector, whole.cut(picture) / 127.5 - 1)
        likely = np.argsort(-scores.ravel())[: (scores > CERTAIN).sum()]
        found = boxes.reshape(-1, 8, 2)[likely]  # pairs (x, y): centre, size, right eye, left eye, four more points
        rows, columns = np.divmod(likely, INPUT // STRIDE)
        centres, sizes = found[:, 0] + (np.stack([columns, rows], axis=1) + 0.5) * STRIDE, found[:, 1]
        kept: list[int] = []
        for i in range(len(found)):
            if all(overlap(centres[[i, j]], sizes[[i, j]]) < OVERLAP for j in kept):
                kept.append(i)
        eyes = found[:, 3] - found[:, 2]
        sides = MARGIN * sizes.max(axis=1, initial=0) * whole.side / INPUT
        middles, angles = whole.to_picture(centres), np.arctan2(eyes[:, 1], eyes[:, 0])
        return [Region(middles[i], float(sides[i]), float(angles[i])) for i in sorted(kept, key=lambda i: -sides[i])]

    def _look_twice(self, picture: Picture, region: Region) -> Landmarks | None:
        """The second look is at what the first has found: a face in the middle of its region is measured best."""
        first = self._landmarks(picture, region)
        second = None if first is None else self._landmarks(picture, around(first))
        return first if second is None else second

    def _landmarks(self, picture: Picture, region: Region) -> Landmarks | None:
        points, score = _run(self._mesh, region.cut(picture) / 255)
        if score.item() < STILL_THERE:
            return None
        points = points.reshape(-1, 3).astype(np.float64)
        return np.column_stack([region.to_picture(points[:, :2]), points[:, 2] * region.side / INPUT])

    def _with_eyes(self, picture: Picture, points: Landmarks) -> Landmarks:
        """The landmarks with lids and brows as the eye model sees them; it knows right eyes, and mirrored left ones."""
        found = points.copy()
        for eye, way in zip(EYES, (1, -1), strict=True):
            outer, inner = points[eye[0], :2], points[eye[8], :2]
            across, down = way * (inner - outer)
            side, angle = EYE_MARGIN * float(np.hypot(across, down)), float(np.arctan2(down, across))
            region = Region((outer + inner) / 2, side, angle, way)
            seen, _ = _run(self._eye, region.cut(picture, EYE_INPUT) / 255)
            found[eye, :2] = region.to_picture(seen.reshape(-1, 3)[OF_EYE, :2].astype(np.float64), EYE_INPUT)
        return found


def around(points: Landmarks) -> Region:
    """The square to look at next, as large as MediaPipe's on average; that hangs on extremes and is less steady."""
    first, last = points[list(OUTER_CORNERS), :2]
    middle = points[:, :2].mean(axis=0)
    spread = float(np.sqrt(((points[:, :2] - middle) ** 2).sum(axis=1).mean()))
    region = Region(middle, SIDE * spread, float(np.arctan2(*(last - first)[::-1])))
    return replace(region, centre=middle - RISE * spread * region.axes[1])


def overlap(centres: Float[np.ndarray, "2 2"], sizes: Float[np.ndarray, "2 2"]) -> float:
    """Intersection over union of two boxes."""
    low, high = (centres - sizes / 2).max(axis=0), (centres + sizes / 2).min(axis=0)
    both = np.maximum(high - low, 0).prod()
    return float(both / (sizes.prod(axis=1).sum() - both))


@contextmanager
def quiet() -> Iterator[None]:
    """What libraries in C print as errors is lost: LiteRT tells of itself, and no setting stops it."""
    before = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _run(model: Any, picture: Float[np.ndarray, "h w 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and the logits of a face, or points and that; of an eye its points, and the iris."""
    model.set_tensor(model.get_input_details()[0]["index"], picture[None].astype(np.float32))
    model.invoke()
    first, second = (model.get_tensor(x["index"]) for x in model.get_output_details())
    return first, second
