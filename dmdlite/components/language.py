"""The language encoder: a pretrained transformer from token ids to one vector for each token."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmdlite.config import ModelConfig


class LanguageEncoder(nn.Module):
    """Any encoder that transformers' AutoModel knows, fine-tuned or frozen (published: bert-base-uncased, fine-tuned).

    model: a name on the Hub or a local folder, whose weights are then loaded; or the fields of a transformers config
    with its "model_type", for an untrained model of any size that needs no download. Raises ValueError for what
    cannot be loaded or built.
    """

    def __init__(self, model: str | dict[str, Any], trainable: bool):
        super().__init__()
        from transformers import AutoConfig, AutoModel  # 4 s of import, which ready-made features do not need

        try:
            if isinstance(model, str):
                self.model = AutoModel.from_pretrained(model, dtype=torch.float32)  # it may be stored in half precision
            else:
                self.model = AutoModel.from_config(AutoConfig.for_model(**model | {"dtype": "float32"}))
        except OSError as problem:
            text = f"language model {model!r} is neither a local folder nor a downloadable Hub model"
            raise ValueError(text) from problem
        except Exception as problem:  # transformers has many kinds
            reason = " ".join(str(problem).split())
            raise ValueError(f"language_model {model!r} cannot be built: {reason}") from problem
        self.trainable = trainable
        self.model.requires_grad_(trainable)

    def train(self, mode: bool = True) -> "LanguageEncoder":
        """A frozen encoder stays in evaluation mode, so that its dropout is off."""
        return super().train(mode and self.trainable)

    def forward(self, tokens: Int[Tensor, "batch 3 time"]) -> Float[Tensor, "batch time feature"]:
        """tokens[:, 0] are ids, [:, 1] the attention mask, [:, 2] segment ids (MMSA's `text_bert`)."""
        ids, attention_mask, segments = tokens.unbind(dim=1)
        knows_segments = getattr(self.model.config, "type_vocab_size", 0) > 1
        extra = {"token_type_ids": segments} if knows_segments else {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trainable):
            return self.model(input_ids=ids, attention_mask=attention_mask, **extra).last_hidden_state


def resolve_language_model(config: ModelConfig) -> tuple[ModelConfig, LanguageEncoder | None]:
    """The encoder that `config.language_model` asks for, and the config with its architecture described in full.

    So a saved model loads without a download, and the width of the language features is the encoder's.
    """
    if config.language_model is None:
        return config, None
    encoder = LanguageEncoder(config.language_model, config.language_model_trainable)
    built = encoder.model.config
    return config.replace(language_model=built.to_diff_dict(), feature_widths={"language": built.hidden_size}), encoder
