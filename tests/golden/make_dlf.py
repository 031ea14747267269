"""Makes the golden numbers of the published DLF: dlf_*.npz at small sizes, dlf_full_sizes.json at the published ones.

    REF_DLF=checkout python tests/golden/make_dlf.py

REF_DLF names a checkout of pwang322/DLF. Its own training loop runs unchanged on the CPU, for one batch and with every
dropout at 0, until its first backward pass is over. Nothing of that repository is in this project.
"""

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [os.environ["REF_DLF"], str(HERE.parent)]
sys.modules["pynvml"] = ModuleType("pynvml")  # asks for GPUs
torch.Tensor.cuda = lambda self: self

from published import FULL_SIZES, formula_weights, full_batch, gradient_norms  # noqa: E402
from trains.singleTask.model.DLF import DLF  # noqa: E402

training = sys.modules["trains.singleTask.DLF"]  # the package has a class of this name
training.ReduceLROnPlateau = lambda *_, **__: None  # today's has no `verbose`
training.tqdm = nullcontext
INITIALS = "lva"
SMALL_SIZES = {  # at these widths a published cosine runs across steps and clips
    "dlf_aligned": dict(dataset="mosi", lengths=(50, 50, 50), width=10, heads=2, layers=1, batch=5, seed=0),
    "dlf_unaligned": dict(dataset="mosei", lengths=(50, 500, 500), width=4, heads=2, layers=2, batch=5, seed=1),
}
LANGUAGE, VISION, AUDIO = 12, 7, 5  # their feature widths


class Done(Exception):
    pass


def options(dataset: str, lengths: tuple[int, ...], vision: int, audio: int, language: int = 768, **sizes: int):
    """The published options, without dropout, for features instead of tokens."""
    config = json.loads((Path(os.environ["REF_DLF"]) / "config" / "config.json").read_text())["DLF"]
    found = config["commonParams"] | config["datasetParams"][dataset]
    found |= {name: 0.0 for name in found if name.endswith("_dropout") or "_dropout_" in name}
    found |= dict(dataset_name=dataset, need_data_aligned=len(set(lengths)) == 1, use_bert=False, grad_clip=-1.0)
    found |= dict(feature_dims=[language, audio, vision], device="cpu", train_mode="regression", KeyEval="Loss")
    if "width" in sizes:
        found |= dict(dst_feature_dim_nheads=[sizes["width"], sizes["heads"]], nlevels=sizes["layers"])
    return SimpleNamespace(**found)


def run(args: SimpleNamespace, batch: dict[str, torch.Tensor], seed: int):
    """One step of the published loop: the model with its gradients, its output and every term of its loss."""
    net = DLF(args)
    net.load_state_dict(formula_weights(shapes(net), seed))
    trainer, terms, kept = training.DLF(args), [], {}
    for name in ("criterion", "MSE", "cosine", "sim_loss"):  # in the order of their calls
        inner = getattr(trainer, name)
        setattr(trainer, name, lambda *inputs, inner=inner: terms.append(inner(*inputs)) or terms[-1])
    net.register_forward_hook(lambda *found: kept.update(found[2]))
    backward = torch.Tensor.backward

    def backward_once(total):
        terms.append(total)
        backward(total)
        raise Done

    torch.Tensor.backward = backward_once
    loaded = {"text": batch["language"], "audio": batch["audio"], "vision": batch["vision"]}
    try:
        trainer.do_train([net], {"train": [loaded | {"labels": {"M": batch["labels"]}}]})
    except Done:
        pass
    torch.Tensor.backward = backward
    return net, kept, named([torch.as_tensor(x).item() for x in terms])


def named(terms: list[float]) -> dict[str, float]:
    """Five tasks, three reconstructions, three cycles, three cosines, the margin loss and the total."""
    assert len(terms) == 16
    heads = ("final", *(f"heterogeneous_{i}" for i in INITIALS), "common")
    found = {f"task_{head}": x for head, x in zip(heads, terms)}
    found |= {"reconstruction": sum(terms[5:8]), "cycle": sum(terms[8:11]), "orthogonality": sum(terms[11:14])}
    return found | {"margin": terms[14], "total": terms[15]}


def shapes(net) -> dict[str, list[int]]:
    return {name: list(x.shape) for name, x in net.state_dict().items()}


def small(dataset: str, lengths: tuple[int, ...], batch: int, seed: int, **sizes: int) -> dict[str, np.ndarray]:
    inputs = full_batch(dataset, lengths, VISION, AUDIO, batch, seed)
    inputs["language"] = inputs["language"][..., :LANGUAGE]
    net, out, losses = run(options(dataset, lengths, VISION, AUDIO, LANGUAGE, **sizes), inputs, seed)
    if max(lengths) > 50:  # long streams would take much space
        out = {key: x for key, x in out.items() if x.ndim == 2}
    store = {f"shape/{key}": x for key, x in shapes(net).items()}
    store |= {f"output/{key}": x.detach().numpy() for key, x in out.items()}
    store |= {f"loss/{key}": x for key, x in losses.items()}
    store |= {f"grad_norm/{key}": x for key, x in gradient_norms(net).items()}
    return {key: np.asarray(x) for key, x in store.items()}


def full(**sizes) -> dict:
    net, out, losses = run(options(**sizes), full_batch(**sizes), sizes["seed"])
    heads = {f"heterogeneous_{i}": f"logits_{i}_hetero" for i in INITIALS}
    heads |= {"final": "output_logit", "common": "logits_c"}
    predictions = {head: out[key][:, 0].tolist() for head, key in heads.items()}
    return dict(shapes=shapes(net), predictions=predictions, losses=losses, gradient_norms=gradient_norms(net))


if __name__ == "__main__":
    for name, sizes in SMALL_SIZES.items():
        np.savez_compressed(HERE / f"{name}.npz", **small(**sizes))
    found = {name: full(**sizes) for name, sizes in FULL_SIZES.items()}
    (HERE / "dlf_full_sizes.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
