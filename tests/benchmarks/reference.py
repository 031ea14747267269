"""The published code, imported from the checkout that DMD_REFERENCE names; nothing of it is in this repository.

Its own training loop takes the steps. What current PyTorch or a machine without a GPU refuses is replaced: `.cuda()`,
the call of the orthogonality loss, an argument of the learning-rate schedule (and the progress bar, for silence).
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.cases import Batch, Case
from benchmarks.floors import synchronize

HOME = "trains.singleTask"
PARTS = {
    "model": "model.dmd",
    "homogeneous": "distillnets.get_distillation_kernel_homo",
    "heterogeneous": "distillnets.get_distillation_kernel",
    "misc": "misc",
    "trainer": "DMD",
    "margin": "HingeLoss",
}
GRAPHS = {"homogeneous": (1, 64, [0, 0, 1, 0, 1, 0]), "heterogeneous": (2, 32, [0, 0, 1, 0, 1, 1])}  # run.py:135-160


class Missing(Exception):
    """DMD_REFERENCE is set, but the published code cannot be used; the message says why."""


class EnoughSteps(Exception):
    """Ends the published training loop, which has no other end than an epoch's."""


def checkout() -> Path | None:
    """The checkout that DMD_REFERENCE names, if it is set."""
    named = os.environ.get("DMD_REFERENCE")
    return Path(named).resolve() if named else None


@cache
def published() -> Namespace:
    """The published modules. Raises Missing with one sentence."""
    root = checkout()
    if not (root / "config" / "config.json").is_file():
        raise Missing(f"DMD_REFERENCE is {root}, which is no checkout of github.com/mdswyz/DMD.")
    sys.path.insert(0, str(root))
    try:
        modules = Namespace(**{part: import_module(f"{HOME}.{name}") for part, name in PARTS.items()})
    except ImportError as problem:
        hint = " (pip install nvidia-ml-py)" if problem.name == "pynvml" else ""
        raise Missing(f"The published code in {root} cannot be imported: {problem}{hint}.") from problem
    finally:
        sys.path.remove(str(root))
    modules.trainer.ReduceLROnPlateau = lambda optimizer, **_: None
    modules.trainer.tqdm = nullcontext
    return modules


@contextmanager
def cuda_means(device: str) -> Iterator[None]:
    """Where the published code says `.cuda()`, tensors go to `device`."""
    with patch.object(Tensor, "cuda", lambda tensor, *_, **__: tensor.to(device)):
        yield


def cosine_of_clips(private: Tensor, common: Tensor, _target: Tensor) -> Tensor:
    """The orthogonality loss of each clip as its author repaired it; both are (time, clip, width)."""
    flat = [x.transpose(0, 1).flatten(1) for x in (private, common)]
    return F.cosine_similarity(*flat, dim=1).clamp_min(0)


def published_margin(features: Batch, labels: Tensor) -> Tensor:
    """The published margin loss of the same features."""
    samples = torch.stack(list(features.values()), dim=1).flatten(0, 1)
    return published().margin.HingeLoss()(labels.repeat_interleave(3)[:, None], samples)


class Published:
    """The published model with its two graphs on one batch, without BERT."""

    def __init__(self, case: Case, batch: Batch):
        self.device, modules = batch["labels"].device.type, published()
        self.arguments = _arguments(case, self.device)
        self.batch = batch | {"text": batch["language"], "labels": {"M": batch["labels"]}}
        with cuda_means(self.device):
            self.model = modules.model.DMD(self.arguments).to(self.device)
            self.graphs = {space: self._graph(space) for space in GRAPHS}
        self.trainer = modules.trainer.DMD(self.arguments)
        self.trainer.cosine = cosine_of_clips

    def _graph(self, space: str) -> torch.nn.Module:
        widths, size, prior = GRAPHS[space]
        modules, width, ends = published(), widths * self.arguments.dst_feature_dim_nheads[0], [0, 1, 2]
        prior = modules.misc.softmax(prior, 0.25)
        kernel = getattr(modules, space).DistillationKernel
        return kernel(1, width, size, ends, ends, prior, 10, [1, 10], "l1", 1 / 8, self.arguments).to(self.device)

    def weights(self) -> list[Batch]:
        """The state dicts of the model and of both graphs, as `DMD.from_official` reads them."""
        graphs = [graph.state_dict() | {"prior": graph.gd_prior} for graph in self.graphs.values()]
        return [{name: x.cpu() for name, x in state.items()} for state in (self.model.state_dict(), *graphs)]

    def step(self) -> float:
        """Seconds of one training step."""
        return self.steps(1)[0]

    def steps(self, count: int) -> list[float]:
        """Seconds of each of several training steps in a row, told by the loader that the published loop reads from."""
        seconds: list[float] = []

        def loader():
            for _ in range(count):
                synchronize(self.device)
                start = perf_counter()
                yield self.batch
                synchronize(self.device)
                seconds.append(perf_counter() - start)
            raise EnoughSteps

        try:
            with cuda_means(self.device):
                self.trainer.do_train([self.model, *self.graphs.values()], {"train": loader()})
        except EnoughSteps:
            return seconds

    def evaluate(self) -> Tensor:
        """The predictions; the model has to be in evaluation mode."""
        with torch.no_grad():
            return self.model(*(self.batch[m] for m in ("text", "audio", "vision")), is_distill=True)["output_logit"]


def _arguments(case: Case, device: str) -> Namespace:
    """The published settings of a data set, without optimizer steps and without clipping of gradients."""
    settings = json.loads((checkout() / "config" / "config.json").read_text())["dmd"]
    widths = case.config.feature_widths
    own = dict(dataset_name=case.dataset, need_data_aligned=case.aligned, use_bert=False, device=device)
    own |= dict(feature_dims=[widths["language"], widths["audio"], widths["vision"]], train_mode="regression")
    own |= dict(KeyEval="Loss", grad_clip=-1.0, update_epochs=10**9)
    return Namespace(**(settings["commonParams"] | settings["datasetParams"][case.dataset] | own))
