"""The cases of golden/svliy_*: our settings and svliy's for them, and the inputs, made by formula."""

import numpy as np
import torch

from dmdlite.config import MODALITIES

SMALL = {
    "aligned_mosi": dict(
        dataset="mosi", lengths=(50, 50, 50), widths=(12, 7, 5), batch=5, seed=0,
        ours=dict(width=8, heads=2, layers=1, dictionary_size=20),
        theirs=dict(dst_feature_dim_nheads=[8, 2], nlevels=1, sd_num=20, need_data_aligned=True),
    ),
    "sims": dict(
        dataset="sims", lengths=(50, 232, 925), widths=(8, 5, 4), batch=3, seed=1,
        ours=dict(width=6, heads=3, layers=1, dictionary_size=33, dictionary_temperature=0.5),
        theirs=dict(dst_feature_dim_nheads=[6, 3], nlevels=1, sd_num=33, sd_temperature=0.5),
    ),
    "other_mosei": dict(
        dataset="mosei", lengths=(30, 21, 44), widths=(10, 7, 5), batch=6, seed=2,
        ours=dict(width=6, heads=1, dictionary_size=15, dictionary_pooling="mean", dictionary_activation="softmax"),
        theirs=dict(dst_feature_dim_nheads=[6, 1], sd_num=15, pool_type="mean", att_func_type="softmax"),
    ),
}  # fmt: skip
FULL = {
    "mosi_aligned": dict(dataset="mosi", lengths=(50, 50, 50), widths=(768, 20, 5), batch=6, seed=3),
    "mosi": dict(dataset="mosi", lengths=(50, 500, 375), widths=(768, 20, 5), batch=2, seed=4),
    "mosei_aligned": dict(dataset="mosei", lengths=(50, 50, 50), widths=(768, 35, 74), batch=16, seed=5),
    "sims": dict(dataset="sims", lengths=(50, 232, 925), widths=(768, 177, 25), batch=2, seed=6),
}


def batch_of(lengths, widths, batch, seed, **_) -> dict[str, torch.Tensor]:
    """Random streams with right padding, and labels on MOSI's grid, of which two are equal if there are three."""
    draw = np.random.Generator(np.random.PCG64(seed))
    streams = {m: draw.standard_normal((batch, *size)) for m, *size in zip(MODALITIES, lengths, widths)}
    for m in ("vision", "audio"):
        for b in range(batch):
            streams[m][b, streams[m].shape[1] - b :] = 0
    labels = draw.permutation(np.arange(-15, 16) / 5)[:batch]
    labels[-2] = labels[0]
    return {name: torch.from_numpy(x).float() for name, x in (streams | {"labels": labels}).items()}
