"""What is measured on a face: 17 numbers, most of them distances between landmarks along the head's own axes.

Distances are in units of the distance between the middles of the eyes, so that they depend neither on how near the face
is nor on how it is turned. Right and left are the person's own. Landmarks are numbered as in MediaPipe's face mesh.
"""

import numpy as np
from jaxtyping import Float, Float32

from dmdlite.data.extract.face import Landmarks

RIGHT_EYE, LEFT_EYE, INNER_CORNERS = (33, 133), (263, 362), (133, 362)
RIGHT_BROW, LEFT_BROW = (70, 63, 105, 66, 107), (300, 293, 334, 296, 336)
ACROSS, UP = 0, 1
# Name -> how far the first landmarks' middle lies beyond the second's, along which axis of the head.
DISTANCES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "mouth_corner_right": ((61,), (2,), UP),  # over the base of the nose
    "mouth_corner_left": ((291,), (2,), UP),
    "mouth_width": ((291,), (61,), ACROSS),
    "lip_opening": ((13,), (14,), UP),
    "brow_right": (RIGHT_BROW, RIGHT_EYE, UP),
    "brow_left": (LEFT_BROW, LEFT_EYE, UP),
    "brow_inner": ((107, 55, 336, 285), INNER_CORNERS, UP),
    "eye_opening_right": ((160, 159, 158), (144, 145, 153), UP),
    "eye_opening_left": ((387, 386, 385), (373, 374, 380), UP),
    "nose_wings": ((129, 358), INNER_CORNERS, UP),  # negative; a wrinkled nose raises them
}
FOREHEAD, CHIN = 10, 152
POSE = ("head_yaw", "head_pitch", "head_roll")  # radians: turned to the picture's right, upwards, clockwise as seen
PLACE = ("x", "y", "size")  # of the eyes' middle from the picture's, and of their distance; the picture's longer side is 1
NAMES = ("face", *DISTANCES, *POSE, *PLACE)  # "face": 1 where there is one; where it is 0, all others are 0, too
UNITS = {"face": "0 or 1"} | dict.fromkeys(DISTANCES, "distances of the eyes") | dict.fromkeys(POSE, "radians")
UNITS |= dict.fromkeys(PLACE, "longer sides of the picture")


def points_of(name: str) -> list[int]:
    """The landmarks that a measure is made from, for a figure."""
    if name in DISTANCES:
        return [*DISTANCES[name][0], *DISTANCES[name][1]]
    own = {"head_yaw": [33, 263], "head_roll": [33, 263], "head_pitch": [FOREHEAD, CHIN], "face": []}
    return own.get(name, [*RIGHT_EYE, *LEFT_EYE])


def measure(points: Landmarks | None, shape: tuple[int, ...]) -> Float32[np.ndarray, "measure"]:
    """The numbers under NAMES, from the landmarks of a face in a picture of this shape (height, width, …)."""
    if points is None:
        return np.zeros(len(NAMES), np.float32)
    axes, pose = head(points)
    middles = np.stack([points[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)])
    unit = float(np.linalg.norm(middles[1] - middles[0]))
    own = points @ axes.T / unit  # across, up, forward
    distances = [own[list(a), axis].mean() - own[list(b), axis].mean() for a, b, axis in DISTANCES.values()]
    x, y = (middles.mean(axis=0)[:2] - np.array(shape[1::-1]) / 2) / max(shape[:2])
    return np.array([1, *distances, *pose, x, y, unit / max(shape[:2])], np.float32)


def head(points: Landmarks) -> tuple[Float[np.ndarray, "3 3"], tuple[float, float, float]]:
    """The head's axes, across (to the picture's right), up and forward, and yaw, pitch and roll."""
    across = _unit(points[LEFT_EYE[0]] - points[RIGHT_EYE[0]])
    up = points[FOREHEAD] - points[CHIN]
    up = _unit(up - (up @ across) * across)
    pose = np.arcsin(across[2]), np.arcsin(up[2]), np.arctan2(across[1], across[0])
    return np.stack([across, up, np.cross(up, across)]), tuple(map(float, pose))


def _unit(x: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    return x / max(np.linalg.norm(x), 1e-9)
