"""Runs the published MulT, a checkout of yaohungt/Multimodal-Transformer, and stores what it computes as plain numbers.

    REF_MULT=... python tests/golden/make_mult.py

Small cases keep inputs and weights; full ones make them by formula (tests/published.py). Every dropout is 0. The
published code fixes the width at 30; small cases put another one in its place by properties of a subclass. The file of
full sizes also keeps the defaults of the options of `main.py`, read from its source.
"""

import ast
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

GOLDEN = Path(__file__).parent
sys.path.insert(0, str(GOLDEN.parent))
from published import formula_weights, full_batch

INITIALS = {"language": "l", "audio": "a", "vision": "v"}  # in the order of the arguments of the published model
SMALL = {  # lengths and features as {modality: number}
    "mult_equal_width": dict(  # vision has the common width already
        width=8, heads=2, layers=2, causal=True, outputs=1, batch=5, seed=0,
        lengths=dict(language=10, vision=10, audio=10), features=dict(language=12, vision=8, audio=5),
    ),
    "mult_unaligned": dict(
        width=6, heads=3, layers=4, causal=True, outputs=1, batch=3, seed=1,
        lengths=dict(language=9, vision=23, audio=14), features=dict(language=11, vision=7, audio=6),
    ),
    "mult_odd_width": dict(
        width=9, heads=3, layers=1, causal=False, outputs=2, batch=4, seed=2,
        lengths=dict(language=7, vision=5, audio=12), features=dict(language=4, vision=9, audio=9),
    ),
}  # fmt: skip
FULL = {  # as `published.full_batch` takes them; heads and layers, where they are not main.py's
    "mosei_unaligned": dict(dataset="mosei", lengths=(50, 500, 500), vision=35, audio=74, batch=2, seed=10),
    "mosei_aligned": dict(dataset="mosei", lengths=(50, 50, 50), vision=35, audio=74, batch=7, seed=11),
    "mosi_unaligned": dict(dataset="mosi", lengths=(50, 500, 375), vision=20, audio=5, batch=2, seed=12),
}


def padded_on_the_left(sizes: dict) -> dict[str, torch.Tensor]:
    """The batch of a full case: MulT's own files have 300 features for a word, and padding before the first word."""
    batch = full_batch(**sizes)
    batch["language"] = batch["language"][:, :, :300]
    return {name: x.flip(1) if x.ndim == 3 else x for name, x in batch.items()}


def small_batch(lengths, features, outputs, batch, seed, **_) -> dict[str, torch.Tensor]:
    """Random streams, of which some steps are zero: the first ones of one clip, the last ones of another."""
    torch.manual_seed(seed)
    streams = {m: torch.randn(batch, lengths[m], features[m]) for m in INITIALS}
    for x in streams.values():
        x[1, :3], x[2, -2:] = 0, 0
    return streams | {"labels": 2 * torch.randn(batch, outputs)}


def published_model(features, width=30, heads=5, layers=5, causal=True, outputs=1, **_):
    """Without dropout. The options that are not given are those of `main.py`."""
    sys.path.insert(0, os.environ["REF_MULT"])
    from modules import position_embedding
    from src.models import MULTModel

    # Current PyTorch keeps the strides of a clone, which the published `view` of the positions then refuses.
    positions = position_embedding.make_positions
    position_embedding.make_positions = lambda *arguments: positions(*arguments).contiguous()
    sizes = {f"d_{i}": property(lambda self: width, lambda self, value: None) for i in INITIALS.values()}
    options = {f"orig_d_{i}": features[m] for m, i in INITIALS.items()} | dict(vonly=True, aonly=True, lonly=True)
    options |= {f"{place}_dropout": 0.0 for place in ("attn", "relu", "res", "out", "embed")}
    options |= dict(attn_dropout_a=0.0, attn_dropout_v=0.0)
    options |= dict(num_heads=heads, layers=layers, attn_mask=causal, output_dim=outputs)
    return type("Sized", (MULTModel,), sizes)(SimpleNamespace(**options)).train()


def computed(model, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Prediction, last hidden states, loss, and the norm of every gradient: NaN for weights that nothing uses."""
    output, hidden = model(*(batch[m] for m in INITIALS))
    loss = torch.nn.L1Loss()(output, batch["labels"].view_as(output))
    loss.backward()
    norms = {name: float("nan") if p.grad is None else p.grad.norm().item() for name, p in model.named_parameters()}
    return {"output": output, "hidden": hidden, "loss": loss, "norms": norms}


def options_of_main() -> dict[str, object]:
    """The defaults of the options of `main.py`, read without running it."""
    found = {}
    for node in ast.walk(ast.parse(Path(os.environ["REF_MULT"], "main.py").read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            keywords = {x.arg: ast.unparse(x.value) for x in node.keywords}
            switch = {"'store_true'": "False", "'store_false'": "True"}.get(keywords.get("action"))
            name = node.args[-1].value.lstrip("-")
            found[name] = ast.literal_eval(switch or keywords.get("default", "None"))
    return found


def make_small(name: str, case: dict) -> None:
    model, batch = published_model(**case), small_batch(**case)
    store = {f"input_{m}": batch[m] for m in INITIALS} | {"labels": batch["labels"]}
    store |= {f"weights/{key}": x.clone() for key, x in model.state_dict().items()}
    found = computed(model, batch)
    norms = found.pop("norms")
    arrays = {key: x.detach().numpy() for key, x in (store | found).items()}
    np.savez_compressed(GOLDEN / f"{name}.npz", **arrays, names=[*norms], norms=[*norms.values()])


def make_full(sizes: dict) -> dict:
    batch = padded_on_the_left(sizes)
    model = published_model({m: batch[m].shape[2] for m in INITIALS})
    shapes = {key: list(x.shape) for key, x in model.state_dict().items()}
    model.load_state_dict(formula_weights(shapes, sizes["seed"]))
    found = computed(model, batch)
    numbers = {key: found[key].tolist() for key in ("output", "hidden", "loss")}
    return numbers | {"shapes": shapes, "gradient_norms": found["norms"]}


if __name__ == "__main__":
    for name, case in SMALL.items():
        make_small(name, case)
    full = {name: make_full(sizes) for name, sizes in FULL.items()} | {"options": options_of_main()}
    (GOLDEN / "mult_full_sizes.json").write_text(json.dumps(full, separators=(",", ":")) + "\n")
