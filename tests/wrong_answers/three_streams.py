import numpy as np
import torch


def words(frames, seconds, starts, ends, of=lambda inside: inside.mean(axis=0), last=np.less, first=np.greater_equal):
    rows = np.zeros((len(starts), frames.shape[1]))
    for row, start, end in zip(rows, starts, ends):
        inside = frames[first(seconds, start) & last(seconds, end)]
        if len(inside):
            row[:] = of(inside)
    return rows


def nearest(frames, seconds, starts, ends):
    return frames[np.abs(seconds[:, None] - (starts + ends) / 2).argmin(axis=0)]


def by_number(frames, seconds, starts, ends):
    """Frame numbers at four frames a second, and so only right at the beginning of a recording."""
    numbers = [(int(round(s * 4)), int(round(e * 4))) for s, e in zip(starts, ends)]
    return np.stack([frames[s:e].mean(axis=0) if frames[s:e].size else 0 * frames[0] for s, e in numbers])


WRONG = {
    "length_mask": [
        lambda lengths, steps: torch.arange(steps) <= lengths[:, None],
        lambda lengths, steps: torch.arange(steps) >= lengths[:, None],
        lambda lengths, steps: (torch.arange(steps) < lengths[:, None]).T,
        lambda lengths, steps: (torch.arange(steps) < lengths[:, None]).float(),
        lambda lengths, steps: torch.arange(int(lengths.max())) < lengths[:, None],
        lambda lengths, steps: (torch.arange(steps) < lengths[:, None]).flip(1),
        lambda lengths, steps: torch.arange(steps) < lengths.max() * torch.ones(len(lengths), 1),
        lambda lengths, steps: torch.arange(6) < torch.tensor([2, 4, 1])[:, None],
        lambda lengths, steps: torch.arange(steps) == lengths[:, None] - 1,
    ],
    "frames_to_words": [
        lambda *clip: words(*clip, of=lambda inside: inside.sum(axis=0)),
        lambda *clip: words(*clip, of=lambda inside: inside.sum(axis=0) / 5),
        lambda *clip: words(*clip, of=lambda inside: inside[len(inside) // 2]),
        lambda *clip: words(*clip, last=np.less_equal),
        lambda *clip: words(*clip, first=np.greater),
        lambda *clip: words(*clip).T,
        nearest,
        by_number,
        lambda frames, seconds, starts, ends: frames[: len(starts)],
        lambda frames, seconds, starts, ends: np.where(
            words(frames, seconds, starts, ends) == 0, np.nan, words(frames, seconds, starts, ends)
        ),
    ],
}
