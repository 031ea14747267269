"""Runs svliy/mmsa, a public DMD with FDT's dictionary, on the CPU, and stores what it computes as plain numbers.

    REF_SVLIY=... python tests/golden/make_svliy.py tests/golden

$REF_SVLIY is a checkout of its commit 21968f3; nothing of it is kept. It is driven as it is, with three exceptions:
CUDA is the CPU; modules that it imports and does not need are empty; and where the width is not 50, the three layers of
the last head, which it makes for 300 numbers whatever the width, are made for six times the width.
"""

import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
sys.dont_write_bytecode = True
sys.path[:0] = [os.environ["REF_SVLIY"], str(HERE.parent), str(HERE.parent.parent)]

from published import formula_weights, gradient_norms  # noqa: E402
from published_svliy import FULL, SMALL, batch_of  # noqa: E402

OUTPUTS = ("output_logit", "lva_att_weight", *(name.format(i) for i in "lva" for name in ("s_{}_dict", "last_h_{}")))


class Settings(dict):
    """Entries that are attributes, too, as easydict makes them."""

    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


def empty(name: str, **entries) -> None:
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(entries)


torch.Tensor.cuda = lambda self, *_, **__: self
nn.Module.cuda = lambda self, *_, **__: self
empty("easydict", EasyDict=Settings)
empty("model.loss", ClipInfoCELoss=0)
empty("torch.utils.tensorboard", SummaryWriter=0)
for module in ("linklink", "model", "pynvml"):
    empty(module)
empty("trains.singleTask.model.image_encoder.visual_transformer", visual_transformer_B32=0, visual_transformer_B16=0)
empty("trains.singleTask.model.text_encoder.text_transformer", text_transformers=0)

from trains.singleTask.HingeLoss import HingeLoss  # noqa: E402
from trains.singleTask.model import dmd  # noqa: E402

CHOSEN = json.loads(Path(os.environ["REF_SVLIY"], "config", "config_regression.json").read_text())["dmd"]
FACTOR = CHOSEN["datasetParams"]["mosi"]["loss_factor"]  # the same for all three


def settings(case: dict) -> Settings:
    """Its settings of this data set, with every dropout at 0 and the changes of the case."""
    found = CHOSEN["commonParams"] | CHOSEN["datasetParams"][case["dataset"]]
    found |= {key: 0.0 for key in found if "dropout" in key}
    found |= dict(dataset_name=case["dataset"], use_bert=False, feature_dims=[case["widths"][i] for i in (0, 2, 1)])
    return Settings(found | case.get("theirs", {}))


def build(case: dict) -> nn.Module:
    torch.manual_seed(case["seed"])
    net, width = dmd.DMD(settings(case)), 6 * settings(case).dst_feature_dim_nheads[0]
    if width != net.out_layer.in_features:
        net.proj1, net.proj2, net.out_layer = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)
    return net.train()


def run(net: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[dict, dict]:
    """Outputs and losses, as its training loop adds them up; gradients are left in the net."""
    net.zero_grad()
    out = net(batch["language"], batch["audio"], batch["vision"], is_distill=True)
    labels = batch["labels"][:, None]
    looked_up = torch.stack([out[f"s_{i}_dict"] for i in "lva"], dim=1).flatten(0, 1)
    losses = {"task_final": nn.L1Loss()(out["output_logit"], labels)}
    losses["dictionary_heterogeneous"] = HingeLoss()(labels.repeat_interleave(3, dim=0), looked_up)
    losses["total"] = losses["task_final"] + FACTOR * losses["dictionary_heterogeneous"]
    losses["total"].backward()
    return out, losses


def small(name: str, case: dict, folder: Path) -> None:
    """All that matters of a small net; of the weights that no loss reads only some, which a reader has to pass over."""
    net, batch = build(case), batch_of(**case)
    out, losses = run(net, batch)
    norms = gradient_norms(net)
    kept = {key: x for key, x in net.state_dict().items() if key in norms or x.numel() <= 8}
    groups = dict(input=batch, weights=kept, output={key: out[key] for key in OUTPUTS}, loss=losses, grad_norm=norms)
    flat = {f"{group}/{key}": torch.as_tensor(x).detach() for group, xs in groups.items() for key, x in xs.items()}
    np.savez_compressed(folder / f"svliy_{name}.npz", **{key: x.float().numpy() for key, x in flat.items()})
    print(name, {key: round(x.item(), 5) for key, x in losses.items()})


def full(case: dict) -> dict:
    """Prediction, numbers of activated atoms, losses and norms at full size, with weights made by formula."""
    net = build(case)
    run(net, batch_of(**case))
    shapes = {key: list(p.shape) for key, p in net.named_parameters() if p.grad is not None}
    net.load_state_dict(formula_weights(shapes, case["seed"]), strict=False)
    out, losses = run(net, batch_of(**case))
    return {
        "shapes": shapes,
        "prediction": out["output_logit"][:, 0].tolist(),
        "activated": (out["lva_att_weight"] > 0).sum(dim=1).tolist(),
        "losses": {key: x.item() for key, x in losses.items()},
        "gradient_norms": gradient_norms(net),
    }


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for name, case in SMALL.items():
        small(name, case, target)
    (target / "svliy_full_sizes.json").write_text(json.dumps({name: full(case) for name, case in FULL.items()}))
