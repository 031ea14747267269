"""The sizes, and the inputs by formula, of golden/momke_*."""

import numpy as np
import torch

from dmdlite.config import MODALITIES
from dmdlite.models.momke import EXPERTS, MoMKEConfig

# time: utterances of a dialogue, which in ours are the time steps of a clip; a clip of one step is an utterance.
SMALL = dict(layers=1, clips=6)
SMALL_SIZES = {
    "momke_dialogues": dict(dataset="mosi", width=8, heads=2, layers=2, widths=(6, 5, 4), time=5, clips=4, seed=0),
    "momke_clips": dict(dataset="mosei", width=6, heads=3, layers=3, widths=(3, 7, 5), time=1, clips=7, seed=1),
    "momke_classes": SMALL | dict(dataset="iemocap_four", width=4, heads=1, widths=(5, 2, 3), time=1, seed=2),
    "momke_class_dialogues": SMALL | dict(dataset="iemocap_six", width=6, heads=2, widths=(4, 3, 2), time=7, seed=3),
}
FULL = dict(width=256, heads=2, layers=4, widths=(1024, 1024, 512))
FULL_SIZES = {
    "mosi": FULL | dict(dataset="mosi", time=1, clips=32, seed=4),
    "mosi_dialogues": FULL | dict(dataset="mosi", time=21, clips=3, seed=5),
    "iemocap_four": FULL | dict(dataset="iemocap_four", time=1, clips=16, seed=6),
    "iemocap_six": FULL | dict(dataset="iemocap_six", time=1, clips=9, seed=7),
}
STAGES = ("experts", "mixture")
CLASSES = {"mosi": 1, "mosei": 1, "iemocap_four": 4, "iemocap_six": 6}


def our_config(size: dict, stage: str) -> MoMKEConfig:
    same = {name: size[name] for name in ("width", "heads", "layers")}
    same |= dict(feature_widths=dict(zip(MODALITIES, size["widths"])), lengths=dict.fromkeys(MODALITIES, size["time"]))
    same |= {} if size["time"] == 1 else dict(clip_reader="time_steps")
    same |= dict(loss_weights=EXPERTS) if stage == "experts" else {}
    return MoMKEConfig.official(size["dataset"], stage=stage, **same).without_dropout()


def published_batch(size: dict) -> dict[str, torch.Tensor]:
    """Streams (clip, time, width), which utterances there are, what of them is available in stage two, and labels.

    The first clip has no audio at all. Every utterance has one modality at least.
    """
    draw = np.random.Generator(np.random.PCG64(size["seed"]))
    clips, time, classes = size["clips"], size["time"], CLASSES[size["dataset"]]
    real = np.arange(time) < np.append(draw.integers(1, time + 1, clips - 1), time)[:, None]
    found = {m: draw.standard_normal((clips, time, width)) for m, width in zip(MODALITIES, size["widths"])}
    found = {m: (x * real[..., None]).astype(np.float32) for m, x in found.items()}
    available = draw.random((clips, time, 3)) < 0.6
    available[0, :, 2] = False
    available[..., 0] |= ~available.any(axis=2)
    labels = draw.standard_normal((clips, time)) if classes == 1 else draw.integers(0, classes, (clips, time))
    found |= dict(real=real, available=available, labels=(labels * real).astype(np.float32 if classes == 1 else int))
    return {name: torch.from_numpy(x) for name, x in found.items()}


def our_batch(given: dict[str, torch.Tensor], stage: str) -> dict:
    """The same for our model, without labels: in stage one all modalities are available."""
    masks = given["real"][..., None] & (given["available"] if stage == "mixture" else torch.tensor(True))
    masks = masks.expand(*given["real"].shape, 3).unbind(dim=2)
    return {m: given[m] for m in MODALITIES} | {"mask": dict(zip(MODALITIES, masks))}
