"""Runs one training step in each stage of the published MoMKE on a CPU, without dropout, and keeps its numbers.

    REF_MOMKE=folder python tests/golden/make_momke.py tests/golden

REF_MOMKE is a checkout of github.com/wxxv/MoMKE, of which nothing is copied. Its own `train_or_eval_model` makes the
steps; only which modalities are available in stage two, utterance by utterance, is given to it.
"""

import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

REF = Path(os.environ["REF_MOMKE"])
sys.path[:0] = [str(Path(__file__).parents[1]), str(REF / "MoMKE"), str(REF)]

import train_MoMKE as published
from loss import MaskedCELoss, MaskedMSELoss
from published import formula_weights, gradient_norms
from published_momke import CLASSES, FULL_SIZES, SMALL_SIZES, STAGES, published_batch
from utils import build_model, generate_mask

DATASETS = dict(mosi="CMUMOSI", mosei="CMUMOSEI", iemocap_four="IEMOCAPFour", iemocap_six="IEMOCAPSix")
ORDER = ("audio", "language", "vision")  # the published one


def options(size):
    fixed = dict(device="cpu", no_cuda=True, drop_rate=0.0, attn_drop_rate=0.0, test_condition="atv")
    own = dict(hidden=size["width"], depth=size["layers"], num_heads=size["heads"])
    return Namespace(dataset=DATASETS[size["dataset"]], n_classes=CLASSES[size["dataset"]], **own, **fixed)


def published_model(size):
    widths = dict(zip(("language", "vision", "audio"), size["widths"]))
    return build_model(options(size), widths["audio"], widths["language"], widths["vision"])


class NoStep:
    """In the place of the optimizer, so that weights and gradients stay as they are."""

    def __init__(self, model):
        self.zero_grad = model.zero_grad

    def step(self):
        pass


def recorded(loss, found):
    def record(*inputs):
        found.append(loss(*inputs))
        return found[-1]

    return record


def one_step(size, given, model, stage):
    """What the model returned, and the losses: in stage one of audio, text and video, in stage two a single one."""
    streams = [given[m].transpose(0, 1) for m in ORDER]
    nobody = [torch.zeros_like(x) for x in streams]  # a second speaker
    real, labels = given["real"].float(), given["labels"].float()
    batch = (*streams, *nobody, torch.zeros_like(real), real, labels, ["clip"] * len(real))
    columns = [("language", "vision", "audio").index(m) for m in ORDER]
    available = [given["available"][..., column].numpy().astype(int).ravel() for column in columns]

    def masks(time, clips, condition, first):
        return generate_mask(time, clips, condition, first) if first else available

    outputs, losses = [], []
    handle = model.register_forward_hook(lambda _, __, out: outputs.append(out[:5]))
    both = [recorded(kind(), losses) for kind in (MaskedMSELoss, MaskedCELoss)]
    with patch.object(published, "generate_mask", masks):
        published.train_or_eval_model(
            options(size), model, *both, [batch], NoStep(model), train=True, first_stage=stage == "experts"
        )
    handle.remove()
    names = ("hidden", "out", "out_audio", "out_language", "out_vision")
    found = dict(zip(names, outputs[0]))
    kept = names[2:] if stage == "experts" else names[:2]  # the others are of no meaning in this stage
    terms = [f"task_{m}" for m in ORDER] if stage == "experts" else ["task_final"]
    return {name: found[name] for name in kept}, dict(zip(terms, losses, strict=True))


def make_small(name, size, folder):
    given = published_batch(size)
    torch.manual_seed(size["seed"])
    model = published_model(size)
    store = {f"input/{x}": y for x, y in given.items()} | {f"weight/{x}": y for x, y in model.state_dict().items()}
    for stage in STAGES:
        outputs, losses = one_step(size, given, model, stage)
        store |= {f"{stage}/output/{x}": y for x, y in outputs.items()}
        store |= {f"{stage}/loss/{x}": y for x, y in losses.items()}
        store |= {f"{stage}/gradient_norm/{x}": torch.tensor(y) for x, y in gradient_norms(model).items()}
        model.zero_grad()
    np.savez_compressed(folder / f"{name}.npz", **{x: y.detach().numpy() for x, y in store.items()})


def make_full(size):
    given, model = published_batch(size), published_model(size)
    shapes = {name: list(x.shape) for name, x in model.state_dict().items()}
    model.load_state_dict(formula_weights(shapes, size["seed"]))
    found = {"shapes": shapes}
    for stage in STAGES:
        outputs, losses = one_step(size, given, model, stage)
        outputs = {name: x.tolist() for name, x in outputs.items() if name != "hidden"}
        losses = {name: x.item() for name, x in losses.items()}
        found[stage] = dict(outputs=outputs, losses=losses, gradient_norms=gradient_norms(model))
        model.zero_grad()
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, size in SMALL_SIZES.items():
        make_small(name, size, folder)
    full = {name: make_full(size) for name, size in FULL_SIZES.items()}
    (folder / "momke_full_sizes.json").write_text(json.dumps(full) + "\n")
