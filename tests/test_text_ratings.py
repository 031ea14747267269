"""Text alone against its raters: on an archive of the same layout as the real one, with made-up sentences."""

import gzip
import hashlib
import io
import tarfile
from subprocess import CompletedProcess

import numpy as np
import pytest
import text_ratings
from transformers import BertConfig, BertModel

from course import rated_texts
from dmdlite.training.metrics import sentiment_metrics

WORDS = {"awful": -3, "bad": -2, "grey": 0, "good": 2, "lovely": 3}
# VADER's place: it knows "bad" and "good", and reads its lexicon from beside itself, as the real one does.
RULES = """
from pathlib import Path
WORDS = dict(line.split() for line in (Path(__file__).parent / "vader_lexicon.txt").read_text().splitlines())
class SentimentIntensityAnalyzer:
    def polarity_scores(self, text):
        return {"compound": sum(float(WORDS.get(word, 0)) for word in text.split())}
"""


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def tables(source: str, few: int = 0) -> dict[str, bytes]:
    """The two files of a source: 60 texts of which the first `few` have too few ratings, two are alike, one differs."""
    generator, names, means, ratings = np.random.default_rng(len(source)), list(WORDS), [], []
    for i in range(60):
        name = str(i + 1) if source in ("tweets", "movieReviewSnippets") else f"{i // 4 + 1}_{i % 4 + 1}"
        word = names[generator.integers(len(names))]
        given = (WORDS[word] + generator.integers(-1, 2, 19 if i < few else 20)).tolist()
        text = f"{source} twin" if i in (40, 41) else f"the {source} number {i} was {word}"
        mean = np.mean(given) + (i == 50)
        means.append(f"{name}\t{mean}\t{text}")
        ratings.append(f"{name}\t{mean}\t{np.std(given)}\t{given}")
    of = lambda lines: "\r\n".join(lines).encode("utf-8-sig")
    place = f"hutto_ICWSM_2014/{source}"
    return {f"{place}_GroundTruth.txt": of(means), f"{place}_anonDataRatings.txt": of(ratings)}


def contents() -> dict[str, bytes]:
    inner: dict[str, bytes] = {}
    for source in rated_texts.SOURCES.values():
        inner |= tables(source, few=5 if source == "movieReviewSnippets" else 0)
    rules = dict(zip(rated_texts.ANALYSER, (RULES.encode(), b"bad -0.5\ngood 0.5\n", b"")))
    return {
        rated_texts.RATINGS: packed(inner),
        **{f"{rated_texts.ROOT}/vaderSentiment/{name}": content for name, content in rules.items()},
        f"{rated_texts.ROOT}/setup.py": b"raise SystemExit('this must not run')",
    }


def put(home, archive: bytes, monkeypatch):
    """Lays an archive where pip would, with its own digest as the pinned one."""
    path = home / "text_ratings" / f"{rated_texts.ROOT}.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(archive)
    monkeypatch.setattr(rated_texts, "SHA256", hashlib.sha256(archive).hexdigest())
    return path


@pytest.fixture
def archive(tmp_path, monkeypatch):
    return put(tmp_path, packed(contents()), monkeypatch)


def test_texts_are_read_each_once_with_enough_raters(archive, capsys):
    texts = rated_texts.read_ratings(archive)
    said = capsys.readouterr().out
    assert "5 left out because it has fewer than 20 ratings" in said
    assert "4 left out because it has another mean" in said and "4 left out because it is a repetition" in said
    assert len(texts) == 240 - 5 - 4 - 4 and {len(rated.ratings) for rated in texts} == {20}
    splits = text_ratings.divided(texts)
    parts = [{name.rpartition("_")[0] for name in split.ids} for split in splits.values()]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert "editorials15" in set.union(*parts) and "tweets60" in set.union(*parts)


def test_the_whole_script(archive, tmp_path, monkeypatch, capsys):
    """It writes a row for each predictor of each source; both learners beat a constant on words this plain."""
    monkeypatch.setattr(text_ratings, "RESAMPLES", 20)
    assert text_ratings.main(["--epochs", "2"], home=tmp_path) == 0
    lines = (tmp_path / "text_ratings.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    assert rows[0] == list(text_ratings.TITLES) and len(rows) == 1 + 5 * 7
    error = {row[1]: float(row[2].split()[0]) for row in rows if row[0].startswith("all")}
    assert error["ten raters"] < error["one rater"] < error["VADER"] < error["constant"]
    assert error["line"] < error["constant"]
    assert any(line.startswith("- VADER: ") for line in lines)
    assert "this must not run" not in capsys.readouterr().err


def test_a_language_model_by_its_name(archive, tmp_path):
    """What lies in a local folder is read as a model of the Hub is: its own tokenizer, its own weights."""
    splits = text_ratings.divided(rated_texts.read_ratings(archive))
    tokenizer = text_ratings.make_tokenizer(splits["train"].raw_text, None)
    sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    found = text_ratings.language_model(splits, str(tmp_path / "bert"), 0, tmp_path / "run", epochs=1)
    assert found.shape == splits["test"].labels.shape and np.isfinite(found).all()
    with pytest.raises(ValueError, match="neither a local folder nor a downloadable Hub model"):
        text_ratings.make_tokenizer([], str(tmp_path / "nobody"))


def test_scores_are_those_of_the_package():
    generator = np.random.default_rng(0)
    truth, prediction = generator.normal(size=(2, 50)).round(1)
    expected = sentiment_metrics(prediction, truth)
    weights = np.concatenate([np.ones((1, 50)), generator.integers(0, 3, (1, 50))])
    found = text_ratings.scores(prediction, truth, weights)
    assert found[0] == pytest.approx([expected[name] for name in ("mae", "corr", "acc2")])
    again = np.repeat(np.arange(50), weights[1].astype(int))  # a resample is the texts as often as it says
    expected = sentiment_metrics(prediction[again], truth[again])
    assert found[1] == pytest.approx([expected[name] for name in ("mae", "corr", "acc2")])
    assert text_ratings.scores(np.full(50, 0.3), truth, weights)[0, 1] == 0


def test_sentences_of_a_document_are_drawn_together():
    weights = text_ratings.resamples(["a1_0", "a1_1", "a2_0", "a3_0"])
    assert (weights[0] == 1).all() and (weights[:, 0] == weights[:, 1]).all() and len(np.unique(weights)) > 2
    assert (weights[:, 1:].sum(axis=1) == 3).all()


def test_raters_agree_as_their_noise_lets_them():
    """Texts of variance 1, raters of variance 1 around them: correlations follow from the two."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=4000)
    texts = [rated_texts.Rated(f"a{i}_0", "", x + generator.normal(size=25)) for i, x in enumerate(values)]
    found = {name: x[0] for name, x in text_ratings.raters(texts, np.ones((1, 4000))).items()}
    assert found["ten raters"][1] == pytest.approx(1 / 1.1, abs=0.01)
    assert found["twenty raters"][1] == pytest.approx(1 / 1.05, abs=0.01)
    assert found["twenty raters"][0] == pytest.approx(np.sqrt(2 / np.pi * 0.1), abs=0.01)
    assert found["one rater"][1] == pytest.approx(1 / np.sqrt(2 * (1 + 1 / 24)), abs=0.02)


def without(name: str) -> bytes:
    return packed({other: content for other, content in contents().items() if other != name})


def with_line(line: bytes) -> bytes:
    files = tables("tweets") | {"hutto_ICWSM_2014/tweets_GroundTruth.txt": line}
    others = [tables(source) for source in list(rated_texts.SOURCES.values())[1:]]
    return packed({rated_texts.RATINGS: packed(files | others[0] | others[1] | others[2])})


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (lambda: b"no archive", "is damaged"),
        (lambda: packed(contents())[:2000], "is damaged"),
        (lambda: gzip.compress(b"no tar"), "is damaged"),
        (lambda: without(rated_texts.RATINGS), "has no file vaderSentiment-3.3.2/additional_resources/hutto"),
        (lambda: packed({rated_texts.RATINGS: packed(tables("tweets"))}), "has no file hutto_ICWSM_2014/movie"),
        (lambda: with_line(b"1\t0.5"), "tweets_GroundTruth.txt, line 1 has 2 fields instead of 3 or 4"),
        (lambda: with_line(b"99\t0.5\twords"), "the ratings of text 99 of the tweets are missing"),
    ],
)
def test_a_damaged_archive_is_told_in_one_sentence(damaged, message, tmp_path, monkeypatch, capsys):
    put(tmp_path, damaged(), monkeypatch)
    assert text_ratings.main([], home=tmp_path) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("text_ratings: ") and said.count("\n") == 1


def test_another_file_is_refused_before_it_is_read(archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rated_texts, "SHA256", "0" * 64)
    monkeypatch.setattr(rated_texts, "members", None)
    assert text_ratings.main([], home=tmp_path) == 2
    said = capsys.readouterr().err
    assert "is another file than the one that was published" in said and said.count("\n") == 1


def test_a_failed_download_is_told_in_one_sentence(tmp_path, monkeypatch, capsys):
    answer = CompletedProcess([], 1, stdout="", stderr="WARNING: slow\nERROR: no such version\n")
    monkeypatch.setattr(rated_texts.subprocess, "run", lambda *_, **__: answer)
    assert text_ratings.main([], home=tmp_path) == 2
    assert capsys.readouterr().err == "text_ratings: pip could not fetch vaderSentiment 3.3.2: ERROR: no such version\n"
