"""The inputs, by formula, and the published names of outputs and losses, of golden/misa_*."""

import numpy as np
import torch

from dmdlite.config import MODALITIES
from dmdlite.models.misa import MISAConfig

WORDS, TOKENS = 30, 40  # how many words, and BERT's tokens, there are
# reads: "bert", a small BERT as wide as the published one; "states", what a BERT would return; "words", word vectors
SMALL_SIZES = {
    "misa_states": dict(dataset="mosi", reads="states", width=8, widths=(768, 5, 4), time=5, clips=4, seed=0),
    "misa_words": dict(dataset="mosei", reads="words", width=6, widths=(7, 6, 3), time=9, clips=7, seed=1),
    "misa_classes": dict(dataset="ur_funny", reads="words", width=10, widths=(4, 3, 6), time=4, clips=3, seed=2),
}
FULL = dict(width=128, layers=2)
FULL_SIZES = {
    "mosi": FULL | dict(dataset="mosi", reads="bert", time=20, clips=16, seed=3),
    "mosi_other_seed": FULL | dict(dataset="mosi", reads="states", time=31, clips=64, seed=4),
    "mosi_words": FULL | dict(dataset="mosi", reads="words", widths=(300, 47, 74), time=12, clips=6, seed=5),
    "mosei": FULL | dict(dataset="mosei", reads="bert", layers=11, time=15, clips=4, seed=6),
    "ur_funny": FULL | dict(dataset="ur_funny", reads="states", time=18, clips=9, seed=7),
}
OUTPUTS = {"projected": "utt_{}_orig", "private": "utt_private_{}", "shared": "utt_shared_{}"}
OUTPUTS |= {"reconstruction": "utt_{}_recon"}
TERMS = {"task_final": "cls", "difference": "diff", "similarity": "sim", "reconstruction": "recon"}


def widths_of(size: dict) -> dict[str, int]:
    usual = MISAConfig.official(size["dataset"]).feature_widths
    return dict(zip(MODALITIES, size["widths"])) if "widths" in size else usual


def bert_fields(size: dict) -> dict:
    """Of a transformers config: as wide as bert-base, but with few words and narrow inner layers."""
    sizes = dict(hidden_size=768, num_hidden_layers=size["layers"], num_attention_heads=12, intermediate_size=16)
    dropouts = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return sizes | dropouts | dict(vocab_size=TOKENS, max_position_embeddings=64)


def our_config(size: dict) -> MISAConfig:
    time, changes = size["time"], {}
    if size["reads"] == "words":
        changes |= dict(language_reader="recurrent")
    if size["reads"] == "bert":
        changes |= dict(language_model={"model_type": "bert"} | bert_fields(size))
    lengths = dict(language=time + 2 * (size["reads"] != "words"), vision=time, audio=time)
    changes |= dict(width=size["width"], feature_widths=widths_of(size), lengths=lengths)
    return MISAConfig.official(size["dataset"], **changes).without_dropout()


def published_batch(size: dict) -> dict[str, torch.Tensor]:
    """Clips of falling lengths, padded with zeros; batch first. BERT's tokens are two more than the words."""
    draw = np.random.Generator(np.random.PCG64(size["seed"]))
    clips, time, widths = size["clips"], size["time"], widths_of(size)
    lengths = np.sort(np.append(draw.integers(1, time + 1, clips - 1), time))[::-1].copy()
    real = np.arange(time) < lengths[:, None]
    attended = np.arange(time + 2) < lengths[:, None] + 2
    found = {m: draw.standard_normal((clips, time, widths[m])) * real[..., None] for m in ("vision", "audio")}
    found["states"] = draw.standard_normal((clips, time + 2, 768))
    found = {name: x.astype(np.float32) for name, x in found.items()}
    found |= {"lengths": lengths, "words": np.where(real, draw.integers(2, WORDS, real.shape), 1)}
    ids = np.where(attended, draw.integers(1, TOKENS, attended.shape), 0)
    found["tokens"] = np.stack([ids, attended, np.zeros_like(ids)], axis=1).astype(np.int64)
    classes = size["dataset"] == "ur_funny"
    labels = draw.integers(0, 2, clips) if classes else np.clip(np.round(draw.standard_normal(clips) * 7.5) / 5, -3, 3)
    found["labels"] = labels.astype(np.int64 if classes else np.float32)
    return {name: torch.from_numpy(x) for name, x in found.items()}


def in_double(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: x.double() if x.is_floating_point() else x for name, x in tensors.items()}


def our_batch(size: dict, given: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]) -> dict:
    """The same for our model: language as its config reads it, and a mask in place of the lengths."""
    real = torch.arange(size["time"]) < given["lengths"][:, None]
    mask = dict(language=real, vision=real, audio=real)
    if size["reads"] == "words":
        language = weights["embed.weight"][given["words"]]
    else:
        mask["language"] = given["tokens"][:, 1].bool()
        language = given["tokens"] if size["reads"] == "bert" else given["states"]
    return dict(language=language, vision=given["vision"], audio=given["audio"], labels=given["labels"], mask=mask)
