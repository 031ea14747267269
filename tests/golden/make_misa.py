"""Runs one training step of the published MISA on a CPU, with every dropout at 0, and keeps its numbers.

    REF_MISA=folder python tests/golden/make_misa.py tests/golden

REF_MISA is a checkout of github.com/declare-lab/MISA, of which nothing is copied. Its own `Solver.train` makes the
step; it is stopped where it would clip the gradients.
"""

import json
import os
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(os.environ["REF_MISA"]) / "src")]
sys.modules["gensim"] = ModuleType("gensim")  # imported there but not used

import models
import transformers
from config import get_config
from published import formula_weights, gradient_norms
from published_misa import FULL_SIZES, SMALL_SIZES, WORDS, bert_fields, in_double, published_batch, widths_of
from solver import Solver


class GivenStates(nn.Module):
    """In the place of BERT: returns the states of the batch."""

    def __init__(self, states):
        super().__init__()
        self.states = states

    def forward(self, **_):
        return (self.states,)


class Stop(Exception):
    """Raised where the published step clips the gradients."""


def published_solver(size, given):
    """The published solver and its fresh model, without dropout."""
    widths = widths_of(size)
    bert = size["reads"] != "words"
    embedding = 300 if bert else widths["language"]
    options = dict(
        data=size["dataset"], use_bert=bert, hidden_size=size["width"], embedding_size=embedding, dropout=0.0
    )
    with patch("sys.argv", ["train.py", *(f"--{name}={value}" for name, value in options.items())]):
        config = get_config()
    config.visual_size, config.acoustic_size = widths["vision"], widths["audio"]
    config.word2id, config.pretrained_emb = range(WORDS), None

    def language_model(*_, **__):
        if size["reads"] == "states":
            return GivenStates(given["states"])
        return transformers.BertModel(transformers.BertConfig(**bert_fields(size)))

    with patch.object(models.BertModel, "from_pretrained", language_model), \
         patch.object(models.BertConfig, "from_pretrained", lambda *_, **__: None):  # fmt: skip
        solver = Solver(config, None, None, None, None, None)
        solver.build(cuda=False)
    for module in solver.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return solver


def published_step(solver, given):
    """(prediction, loss terms with their total) of one step; the gradients stay in the model."""
    ids, attended, segments = given["tokens"].unbind(dim=1)
    steps = [given[name].transpose(0, 1).contiguous() for name in ("words", "vision", "audio")]
    labels = given["labels"][:, None]
    solver.train_data_loader = [(*steps, labels, given["lengths"], ids, segments, attended)]
    found = {}
    solver.model.register_forward_hook(lambda _, __, out: found.update(prediction=out))
    for term, name in (("diff", "get_diff_loss"), ("sim", "get_cmd_loss"), ("recon", "get_recon_loss")):
        own = getattr(solver, name)
        setattr(solver, name, lambda own=own, term=term: found.setdefault(term, own()))

    def backward(loss):
        found["total"] = loss
        torch.autograd.backward(loss)

    def stop(*_):
        raise Stop

    with patch.object(torch.Tensor, "backward", backward), patch("torch.nn.utils.clip_grad_value_", stop):
        try:
            solver.train()
        except Stop:
            pass
    prediction = found.pop("prediction")
    found["cls"] = solver.criterion(prediction, labels if labels.is_floating_point() else labels[:, 0])
    return prediction, found


def make_small(name, size, folder):
    given = published_batch(size)
    torch.manual_seed(size["seed"])
    solver = published_solver(size, given)
    prediction, losses = published_step(solver, given)
    used = {"words": ["words"], "states": ["states", "tokens"], "bert": ["tokens"]}[size["reads"]]
    store = {f"input/{x}": given[x] for x in ("vision", "audio", "lengths", "labels", *used)}
    store |= {f"weight/{x}": y for x, y in solver.model.state_dict().items()}
    store |= {f"loss/{x}": y for x, y in losses.items()} | {"output/prediction": prediction}
    for i in "tva":
        for output in (f"utt_{i}_orig", f"utt_private_{i}", f"utt_shared_{i}", f"utt_{i}_recon"):
            store[f"output/{output}"] = getattr(solver.model, output)
    store |= {f"gradient_norm/{x}": torch.tensor(y) for x, y in gradient_norms(solver.model).items()}
    np.savez_compressed(folder / f"{name}.npz", **{x: y.detach().numpy() for x, y in store.items()})


def make_full(size):
    given = in_double(published_batch(size))
    solver = published_solver(size, given)
    shapes = {name: list(x.shape) for name, x in solver.model.state_dict().items() if x.is_floating_point()}
    solver.model.load_state_dict(in_double(formula_weights(shapes, size["seed"])), strict=False)
    prediction, losses = published_step(solver, given)
    losses = {name: x.item() for name, x in losses.items()}
    norms = gradient_norms(solver.model)
    return dict(shapes=shapes, prediction=prediction.tolist(), losses=losses, gradient_norms=norms)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, size in SMALL_SIZES.items():
        make_small(name, size, folder)
    torch.set_default_dtype(torch.float64)  # the difference loss divides by lengths near zero
    full = {name: make_full(size) for name, size in FULL_SIZES.items()}
    (folder / "misa_full_sizes.json").write_text(json.dumps(full) + "\n")
