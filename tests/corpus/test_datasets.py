"""Datasets in the layout of Hugging Face, from a local folder."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hornbook.core.errors import HornbookError
from hornbook.corpus.sources import list_sources
from tests.corpus.test_sources import read, sources


@pytest.fixture
def dataset(tmp_path):
    root = tmp_path / "tales"
    for name, text in {
        "data/train-00000-of-00002.parquet": "train one",
        "data/train-00001-of-00002.parquet": "train two",
        "data/test-00000-of-00001.parquet": "test",
        "fr/train.parquet": "entra\u00eenement",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"story": [text], "text": [f"about {text}"]}), root / name)
    (root / ".cache").mkdir()
    (root / "dataset_infos.json").write_text("{}")
    return root


CARD = """---
license: cc-by-4.0
configs:
- config_name: en
  default: true
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: "data/test-*"
- config_name: fr
  data_files: fr/*.parquet
---
# Tales
"""


def texts(tmp_path, dataset, **entry):
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    rows, _ = read(sources({"dataset": str(dataset), **entry}), out)
    return [row["text"] for row in rows], rows


def test_the_card_says_which_files_make_a_split(tmp_path, dataset):
    (dataset / "README.md").write_text(CARD)
    found, rows = texts(tmp_path, dataset, text="story")
    assert found == ["train one", "train two"]
    assert {(row["source"], row["license"]) for row in rows} == {("tales", "cc-by-4.0")}
    assert rows[0]["origin"] == "data/train-00000-of-00002.parquet:1"
    assert texts(tmp_path, dataset, split="test")[0] == ["about test"]
    assert texts(tmp_path, dataset, subset="fr")[0] == ["about entra\u00eenement"]


def test_without_a_card_the_paths_say_it(tmp_path, dataset):
    assert texts(tmp_path, dataset, split="test")[0] == ["about test"]
    assert texts(tmp_path, dataset, subset="fr")[0] == ["about entra\u00eenement"]
    assert len(texts(tmp_path, dataset)[0]) == 3


def test_files_that_name_no_split_are_all_train(tmp_path):
    root = tmp_path / "plain"
    root.mkdir()
    (root / "part1.jsonl").write_text(json.dumps({"text": "one"}) + "\n")
    (root / "part2.jsonl").write_text(json.dumps({"text": "two"}) + "\n")
    assert texts(tmp_path, root)[0] == ["one", "two"]


@pytest.mark.parametrize(
    "entry, words", [({"split": "dev"}, "one of train, test"), ({"subset": "de"}, "one of en, fr")]
)
def test_an_unknown_split_or_subset_is_an_error_that_lists_them(dataset, entry, words):
    (dataset / "README.md").write_text(CARD)
    with pytest.raises(HornbookError, match=words):
        list_sources(sources({"dataset": str(dataset), **entry}))
