"""How far the raters of the same clips agree."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def krippendorff(ratings: Float[np.ndarray, "clip rater"]) -> float:
    """Krippendorff's alpha for numbers (the interval metric): 1 if all agree, 0 if they agree no more than by chance.

    A missing rating is NaN; clips with fewer than two ratings do not count. NaN if all ratings are one
    number, which leaves nothing to agree on. Raises ValueError if no clip was rated twice.
    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    """
    twice = [clip[~np.isnan(clip)] for clip in ratings if (~np.isnan(clip)).sum() > 1]
    if not twice:
        raise ValueError("no clip was rated by two people, so there is no agreement to measure")
    everything = np.concatenate(twice)
    # The mean squared difference of a pair: two ratings of one clip, or any two ratings.
    within = sum(2 * len(clip) * np.var(clip) * len(clip) / (len(clip) - 1) for clip in twice) / len(everything)
    anyhow = 2 * np.var(everything) * len(everything) / (len(everything) - 1)
    return float(1 - within / anyhow) if anyhow else float("nan")
