"""Text alone, on real data: a language model against VADER's rules, a line, and the people who rated the sentences.

python notebooks/text_ratings.py         fetches 2.4 MB, trains, writes build/text_ratings.md

Each sentence has a rating from -4 to 4 from at least twenty people (Hutto and Gilbert, ICWSM 2014). They come with the
source distribution of vaderSentiment 3.3.2. pip downloads it and compares its SHA-256 before running its setup.py, as
pip does to learn a package's name. Nothing is installed: VADER's rules are imported from a copy beside the archive.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from course.rated_texts import RATERS, SOURCES, Rated, analyser, fetched, read_ratings
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.assemble import divided_by_id, make_splits
from dmdlite.data.features import FeatureSplit, feature_shapes, label_shape
from dmdlite.data.splits import Splits
from dmdlite.experiments.reports import markdown_table
from dmdlite.files import write_text
from dmdlite.models.registry import build
from dmdlite.training.loop import predict_logits, seed_everything
from dmdlite.training.metrics import constant_prediction
from dmdlite.training.trainer import train

BUILD = Path(__file__).parent.parent / "build"
SHARES = (0.7, 0.1, 0.2)  # of train, valid and test
TOKENS, VOCABULARY = 48, 6000  # the most of a text, and of the tokenizer
BERT = dict(model_type="bert", hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128)
BERT |= dict(hidden_dropout_prob=0.3)  # an embedding of each piece and one layer, from scratch
RECIPE = dict(epochs=12, batch_size=64, weight_decay=1e-5, plateau_patience=1, early_stopping_patience=3)
FINE_TUNING = dict(epochs=4, learning_rates={"language_encoder": 2e-5})  # of a language model that is trained already
PENALTIES = tuple(2.0**power for power in range(-3, 5))
RESAMPLES = 1000
TITLES = ("texts", "predicted by", "MAE", "Corr", "ACC2")


def divided(texts: list[Rated]) -> Splits:
    """Train, valid and test, no document in two of them; the label is the mean of all ratings of a text."""
    labels = np.array([rated.ratings.mean() for rated in texts], np.float32)
    ids, raw = [rated.id for rated in texts], [rated.text for rated in texts]
    return divided_by_id(FeatureSplit({}, {}, labels, ids, raw, source="the ratings", name="all"), SHARES, seed=0)


def make_tokenizer(texts: list[str], name: str | None) -> Any:
    """That of a language model, or a fresh one of the pieces of words in these texts."""
    if name:
        try:
            return AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError):
            raise ValueError(f"{name!r} is neither a local folder nor a downloadable Hub model") from None
    pieces = ByteLevelBPETokenizer(add_prefix_space=True, lowercase=True)  # WordPiece's trainer differs from run to run
    pieces.train_from_iterator(texts, vocab_size=VOCABULARY, special_tokens=["<pad>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, pad_token="<pad>")


def with_tokens(splits: Splits, tokenizer: Any) -> Splits:
    """The same splits in MMSA's layout, with token ids, attention mask and segment ids."""
    content = {}
    for name, split in splits.items():
        read = tokenizer(split.raw_text, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="np")
        ids, mask = read["input_ids"], read["attention_mask"]
        content[name] = {"text_bert": np.stack([ids, mask, 0 * ids], axis=1), "regression_labels": split.labels}
        content[name] |= {"id": split.ids, "raw_text": split.raw_text}
    return make_splits(content, "the ratings")


def language_model(splits: Splits, name: str | None, seed: int, folder: Path, **changes: Any) -> np.ndarray:
    """Trains a language model on the training split; its predictions for the test split."""
    tokenizer = make_tokenizer(splits["train"].raw_text, name)
    read = with_tokens(splits, tokenizer)
    own = BERT | dict(vocab_size=len(tokenizer), max_position_embeddings=TOKENS, pad_token_id=tokenizer.pad_token_id)
    sizes = feature_shapes(read, tokens=True) | label_shape(read) | dict(members=1, line_share=0.0)
    config = DMDConfig.small(**sizes, language_model=name or own)
    training = TrainingConfig.small(seed=seed, **(RECIPE | (FINE_TUNING if name else {}) | changes))
    seed_everything(seed)
    model = build("language", config)
    train(model, read, folder, training, restart=True)
    return predict_logits(model, read["test"], training.padding_mask)


def line(splits: Splits) -> np.ndarray:
    """Ridge regression on TF-IDF of words and pairs of words; the validation error selects the penalty."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+|[^\w\s]+")
    words.fit(splits["train"].raw_text)
    x = {name: words.transform(split.raw_text) for name, split in splits.items()}
    fits = [Ridge(alpha=penalty).fit(x["train"], splits["train"].labels) for penalty in PENALTIES]
    errors = [np.abs(fit.predict(x["valid"]) - splits["valid"].labels).mean() for fit in fits]
    return fits[int(np.argmin(errors))].predict(x["test"])


def vader(splits: Splits, archive: Path) -> np.ndarray:
    """The compound score of VADER's rules, brought to the scale of the ratings by a line on the training split."""
    rules = analyser(archive)
    compound = lambda split: np.array([rules.polarity_scores(text)["compound"] for text in split.raw_text])
    return np.polyval(np.polyfit(compound(splits["train"]), splits["train"].labels, 1), compound(splits["test"]))


def resamples(ids: list[str], seed: int = 0) -> np.ndarray:
    """How often each text counts: once in row 0, then in bootstrap resamples of the documents, (1 + resamples, N)."""
    _, document = np.unique([name.rpartition("_")[0] for name in ids], return_inverse=True)
    count = document.max() + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.concatenate([np.ones((1, len(ids))), drawn[:, document]])


def scores(prediction: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """MAE, Pearson's correlation (0 for a constant) and ACC2 of each row of weights, (rows, 3).

    ACC2: positive (> 0) or not, over the texts whose true rating is not zero, as in `sentiment_metrics`.
    """
    mean = lambda x: weights @ x / weights.sum(axis=1)
    prediction, truth = prediction.astype(np.float64), truth.astype(np.float64)
    p, t = prediction - prediction.mean(), truth - truth.mean()
    spread = np.sqrt((mean(p * p) - mean(p) ** 2).clip(0) * (mean(t * t) - mean(t) ** 2).clip(0))
    corr = np.divide(mean(p * t) - mean(p) * mean(t), spread, out=np.zeros(len(weights)), where=spread > 1e-9)
    right, polar = (prediction > 0) == (truth > 0), truth != 0
    return np.stack([mean(np.abs(prediction - truth)), corr, mean(right & polar) / mean(polar)], axis=1)


def raters(texts: list[Rated], weights: np.ndarray) -> dict[str, np.ndarray]:
    """What people reach: one against all others, ten against ten, and twenty against twenty, estimated from these.

    Spearman and Brown's formula gives the correlation of means of twice as many raters; their errors are smaller by
    √2. Of a text with more raters twenty are drawn.
    """
    generator = np.random.default_rng(0)
    drawn = np.stack([generator.permutation(rated.ratings)[:RATERS] for rated in texts])
    total, count = (np.array([f(rated.ratings) for rated in texts]) for f in (np.sum, len))
    each = [scores(one, (total - one) / (count - 1), weights) for one in drawn.T]
    half = RATERS // 2
    ten = scores(drawn[:, :half].mean(axis=1), drawn[:, half:].mean(axis=1), weights)
    twenty = np.stack([ten[:, 0] / np.sqrt(2), 2 * ten[:, 1] / (1 + ten[:, 1]), np.full(len(ten), np.nan)], axis=1)
    return {"one rater": np.mean(each, axis=0), "ten raters": ten, "twenty raters": twenty}


def table(predictions: dict[str, np.ndarray], texts: list[Rated], truth: np.ndarray) -> str:
    """One row for each source and predictor, and for the raters; a score with its 95% interval in each cell."""
    rows, source_of = [], np.array([next(x for x in SOURCES if rated.id.startswith(x)) for rated in texts])
    for source in (*SOURCES, "all"):  # the differences below are of all
        at = np.flatnonzero((source_of == source) | (source == "all"))
        chosen = [texts[i] for i in at]
        weights = resamples([rated.id for rated in chosen])
        found = {name: scores(x[at], truth[at], weights) for name, x in predictions.items()}
        found |= raters(chosen, weights)
        own = [[f"{source} ({len(at)})", name, *map(interval, values.T)] for name, values in found.items()]
        rows = own + rows if source == "all" else rows + own
    lines, model = markdown_table(TITLES, rows), found["language model"][:, 0]
    lines += ["", "MAE of the language model minus that of another, over all texts:", ""]
    lines += [f"- {name}: {interval(model - found[name][:, 0])}" for name in predictions if name != "language model"]
    return "\n".join(lines) + "\n"


def interval(values: np.ndarray) -> str:
    """The first value and, in brackets, where 95% of the others are."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return "" if np.isnan(low) else f"{values[0]:.3f} ({low:.3f} to {high:.3f})"


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = "fine-tune this one from the Hugging Face Hub, or a local folder (default: a small BERT from scratch)"
    parser.add_argument("--language-model", metavar="NAME", help=text)
    parser.add_argument("--seed", type=int, default=0, help="of the language model's weights, dropout and order")
    parser.add_argument("--epochs", type=int, help="upper limit of the language model's")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None, home: Path = BUILD) -> int:
    """Returns the exit code: 0, or 2 after one line about what is wrong."""
    options, folder = read_options(arguments), home / "text_ratings"
    try:
        archive = fetched(folder)
        texts = read_ratings(archive)
        splits = divided(texts)
        truth = splits["test"].labels
        constant = np.broadcast_to(constant_prediction(splits["train"].labels, "regression", 1), truth.shape)
        predictions = {"constant": constant, "VADER": vader(splits, archive), "line": line(splits)}
        changes = {"epochs": options.epochs} if options.epochs else {}
        run = folder / f"language-seed{options.seed}"
        predictions["language model"] = language_model(splits, options.language_model, options.seed, run, **changes)
    except ValueError as problem:
        print(f"text_ratings: {' '.join(str(problem).split())}", file=sys.stderr)
        return 2
    of = {rated.id: rated for rated in texts}
    text = table(predictions, [of[name] for name in splits["test"].ids], truth)
    write_text(folder.with_suffix(".md"), text)
    print(f"\n{text}\nthe table is in {folder.with_suffix('.md')}, the model in {run}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
