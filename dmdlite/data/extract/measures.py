"""What is measured on a face: 17 numbers, most of them distances between landmarks along or across the eyes' line.

Distances are in units of the distance between the middles of the eyes, so that they depend neither on how near the face
is nor on how it is tilted; a head that is turned or raised makes some of them shorter, and its pose is measured, too.
Right and left are the person's own. Landmarks are numbered as in MediaPipe's face mesh.
"""

import numpy as np
from jaxtyping import Float32

from dmdlite.data.extract.face import Landmarks

RIGHT_EYE, LEFT_EYE, INNER_CORNERS = (33, 133), (263, 362), (133, 362)
RIGHT_BROW, LEFT_BROW = (70, 63, 105, 66, 107), (300, 293, 334, 296, 336)
ACROSS, UP = 0, 1
# Name -> how far the first landmarks' middle lies beyond that of the second, and in which direction.
DISTANCES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "mouth_corner_right": ((61,), INNER_CORNERS, UP),  # negative; a smile raises it
    "mouth_corner_left": ((291,), INNER_CORNERS, UP),
    "mouth_width": ((291,), (61,), ACROSS),
    "lip_opening": ((13,), (14,), UP),
    "brow_right": (RIGHT_BROW, RIGHT_EYE, UP),
    "brow_left": (LEFT_BROW, LEFT_EYE, UP),
    "brow_inner": ((107, 55, 336, 285), INNER_CORNERS, UP),
    "eye_opening_right": ((160, 159, 158), (144, 145, 153), UP),
    "eye_opening_left": ((387, 386, 385), (373, 374, 380), UP),
    "nose_wings": ((129, 358), INNER_CORNERS, UP),  # negative; a wrinkled nose raises them
}
FOREHEAD, NOSE_BASE = 10, 2
POSE = ("head_yaw", "head_pitch", "head_roll")  # turned to the picture's right, upwards, tilted clockwise as seen
PLACE = ("x", "y", "size")  # where the middle of the eyes is, from the picture's, and their distance
NAMES = ("face", *DISTANCES, *POSE, *PLACE)  # "face": 1 where there is one; where it is 0, all others are 0, too
UNITS = {"face": "0 or 1"} | dict.fromkeys(DISTANCES, "distances of the eyes") | dict.fromkeys(POSE, "radians")
UNITS |= dict.fromkeys(PLACE, "longer sides of the picture")


def points_of(name: str) -> list[int]:
    """The landmarks that a measure is made from, for a figure."""
    if name in DISTANCES:
        return [*DISTANCES[name][0], *DISTANCES[name][1]]
    return {"face": [], "head_pitch": [FOREHEAD, NOSE_BASE]}.get(name, [*RIGHT_EYE, *LEFT_EYE])


def measure(points: Landmarks | None, shape: tuple[int, ...]) -> Float32[np.ndarray, "measure"]:
    """The numbers under NAMES, from the landmarks of a face in a picture of this shape (height, width, …)."""
    if points is None:
        return np.zeros(len(NAMES), np.float32)
    right, left = (points[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE))
    unit, (across, down, away) = np.linalg.norm(left - right), left - right
    roll = np.arctan2(down, across)
    upright = points[:, :2] @ np.array([[np.cos(roll), np.sin(roll)], [np.sin(roll), -np.cos(roll)]]).T / unit
    distances = [upright[list(a), axis].mean() - upright[list(b), axis].mean() for a, b, axis in DISTANCES.values()]
    line = points[FOREHEAD] - points[NOSE_BASE]
    pose = np.arcsin(away / unit), np.arcsin(line[2] / np.linalg.norm(line)), roll
    x, y = ((left + right)[:2] - np.array(shape[1::-1])) / 2 / max(shape[:2])
    return np.array([1, *distances, *pose, x, y, unit / max(shape[:2])], np.float32)
