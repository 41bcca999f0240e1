"""Bits per byte: the definition, token by token, and nothing but the definition."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from hornbook.core.errors import HornbookError
from hornbook.evaluation.bits_per_byte import bits, bits_step, bpb
from hornbook.evaluation.config import BitsConfig
from hornbook.evaluation.items import Item
from hornbook.model import huggingface, score
from hornbook.model.config import LongRope
from hornbook.model.decoder import Decoder
from hornbook.tokenization.encode import open_tokenizer
from tests.evaluation.conftest import CONTEXT
from tests.tokenization.documents import passages
from tests.training.stores import write_choices

ITEMS = [
    Item("short", "", "x = 1\n"),
    Item("prompted", "def add(a, b):\n", "    return a + b\n"),
    Item("empty", "a prompt", ""),
    Item("special", "", "a <|endoftext|> b"),
    Item("unicode", "", "# naïve 漢字 🙂\n"),
    Item("long", "", passages(("heapq",))[1][1][:500]),
    Item("long prompt", passages(("heapq",))[0][1][:300], "return heap\n"),
    Item("both long", passages(("textwrap",))[0][1][:400], passages(("textwrap",))[1][1][:500]),
]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def model(model_folder):
    return huggingface.load(model_folder)


@pytest.fixture(scope="module")
def tokenizer(model_folder):
    return open_tokenizer(model_folder)


def test_it_is_the_definition_computed_by_transformers_token_by_token(model_folder, model, tokenizer):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    found, sizes = bits(model, tokenizer, ITEMS, CONTEXT)
    for item, item_bits, size in zip(ITEMS, found, sizes, strict=True):
        prompt = tokenizer.encode(item.prompt, add_special_tokens=False).ids
        stream = prompt + tokenizer.encode(item.text, add_special_tokens=False).ids
        expected = 0.0
        for position in range(len(prompt), len(stream)):
            start = position - position % (CONTEXT - 1)  # of the window
            before = torch.tensor([[model.config.bos_token_id, *stream[start:position]]])
            with torch.inference_mode():
                logits = theirs(before).logits[0, -1].double()
            expected -= logits.log_softmax(-1)[stream[position]].item() / math.log(2)
        assert item_bits == pytest.approx(expected, rel=1e-5, abs=1e-9)
        assert size == len(item.text.encode())


def test_a_uniform_model_needs_log2_of_the_vocabulary_per_token(model_folder, tokenizer):
    uniform = huggingface.load(model_folder)
    torch.nn.init.zeros_(uniform.head_weight)
    found, _ = bits(uniform, tokenizer, ITEMS, CONTEXT)
    tokens = [len(tokenizer.encode(item.text, add_special_tokens=False).ids) for item in ITEMS]
    assert found == pytest.approx([9.0 * count for count in tokens])


def test_windows_start_afresh(model, tokenizer):
    """A text is worth what its windows are worth as texts of their own."""
    text, step = "x = 1\nif y:\n    print(x)\n" * 30, CONTEXT - 1
    ids = tokenizer.encode(text).ids
    pieces = [tokenizer.decode(ids[start : start + step]) for start in range(0, len(ids), step)]
    assert [token for piece in pieces for token in tokenizer.encode(piece).ids] == ids
    alone, _ = bits(model, tokenizer, [Item("", "", piece) for piece in pieces], CONTEXT)
    whole, _ = bits(model, tokenizer, [Item("", "", text)], CONTEXT)
    assert len(pieces) > 3
    assert whole[0] == pytest.approx(alone.sum(), rel=1e-6)


def test_batches_order_and_company_do_not_matter(model, tokenizer, monkeypatch):
    wanted, _ = bits(model, tokenizer, ITEMS, CONTEXT)
    backwards, _ = bits(model, tokenizer, ITEMS[::-1], CONTEXT)
    assert np.array_equal(wanted, backwards[::-1])
    for batch in (1, 100, 333):
        assert bits(model, tokenizer, ITEMS, CONTEXT, batch)[0] == pytest.approx(wanted, rel=1e-6)
    alone = [bits(model, tokenizer, [item], CONTEXT)[0][0] for item in ITEMS]
    assert alone == pytest.approx(wanted, rel=1e-6)
    monkeypatch.setattr(score, "LOGITS_AT_ONCE", 3000)
    assert bits(model, tokenizer, ITEMS, CONTEXT)[0] == pytest.approx(wanted, rel=1e-6)


def test_with_longrope_a_text_is_read_by_its_own_length_whatever_is_beside_it(model, tokenizer):
    scaling = LongRope(CONTEXT // 2, (1.0,) * 8, (8.0,) * 8)
    stretched = Decoder(replace(model.config, rope_scaling=scaling)).init_weights(1, zero_outputs=False).eval()
    together, _ = bits(stretched, tokenizer, ITEMS, CONTEXT)
    alone = [bits(stretched, tokenizer, [item], CONTEXT)[0][0] for item in ITEMS]
    assert together == pytest.approx(alone, rel=1e-6)
    assert together != pytest.approx(bits(model, tokenizer, ITEMS, CONTEXT)[0], rel=1e-3)


def test_a_model_without_bos_starts_with_eos(model_folder, tokenizer, tmp_path):
    shutil.copytree(model_folder, tmp_path / "model")
    described = json.loads((tmp_path / "model" / "config.json").read_text())
    values = []
    for bos, eos in ((7, 9), (None, 7), (None, 9)):
        described |= {"bos_token_id": bos, "eos_token_id": eos}
        (tmp_path / "model" / "config.json").write_text(json.dumps(described))
        values.append(bits(huggingface.load(tmp_path / "model"), tokenizer, ITEMS[:1], CONTEXT)[0][0])
    assert values[0] == values[1] != values[2]


def test_the_verb_sums_bits_over_all_texts_and_divides_by_their_bytes(model_folder, model, tokenizer, tmp_path):
    rows = [{"task": item.id, "code": item.text, "before": item.prompt} for item in ITEMS]
    path = write_lines(tmp_path / "texts.jsonl", rows)
    wanted, sizes = bits(model, tokenizer, ITEMS, CONTEXT)
    result = bpb(model_folder, path, "code", "before")
    assert result["bpb"] == pytest.approx(wanted.sum() / sizes.sum())
    assert (result["texts"], result["bytes"]) == (len(ITEMS), sum(len(item.text.encode()) for item in ITEMS))
    assert bpb(model_folder, path, "code")["bpb"] != pytest.approx(result["bpb"])  # prompts condition


def test_the_step_measures_every_budget_on_every_set(model_folder, tmp_path):
    sets, held_out, out = tmp_path / "sets", tmp_path / "held", tmp_path / "out"
    for folder in (sets, held_out, out):
        folder.mkdir()
    for budget in ("4000", "16000"):
        shutil.copytree(model_folder, tmp_path / "models" / budget)
    (tmp_path / "models" / "checkpoints").mkdir()
    write_lines(sets / "code.jsonl", [vars(item) for item in ITEMS])
    write_lines(held_out / "held_out.jsonl", [vars(item) for item in ITEMS[:2]])
    write_choices(tmp_path / "probe")
    inputs = {"model": tmp_path / "models", "sets": sets, "held_out": held_out, "probe": tmp_path / "probe"}
    counters = bits_step(inputs, out, BitsConfig(arm="curated", seed=3))
    rows = pq.read_table(out / "bits.parquet").to_pylist()
    assert len(rows) == 2 * (len(ITEMS) + 2) == counters["rows_out"]
    assert {(row["arm"], row["seed"]) for row in rows} == {("curated", 3)}
    assert [row["budget"] for row in rows] == sorted(row["budget"] for row in rows)
    code = [row for row in rows if row["set"] == "code" and row["budget"] == 4000]
    assert [row["id"] for row in code] == [item.id for item in ITEMS]
    value = sum(row["bits"] for row in code) / sum(row["bytes"] for row in code)
    assert counters["bits_per_byte"]["code"]["4000"] == pytest.approx(value)

    only = bits_step(inputs, out, BitsConfig(arm="curated", sets=("held_out",)))
    assert list(only["bits_per_byte"]) == ["held_out"]
    with pytest.raises(HornbookError, match="no evaluation set poems"):
        bits_step(inputs, out, BitsConfig(arm="curated", sets=("poems",)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n{"text": \n', "line 2, is not JSON"),
        (b"[1]\n", "line 1, is not a JSON object"),
        (b'{"text": "a"}\n\n{"code": "b"}\n', "line 3, has no text 'text' (its keys: 'code')"),
        (b'{"text": 3}\n', "has no text 'text'"),
        (b'{"text": "\\ud800"}\n', "half of a surrogate pair"),
        (b'{"text": "\xff"}\n', "line 1, is not JSON"),
        (b"[" * 100_000 + b"\n", "line 1, is not JSON"),
        (b'{"text": ""}\n{"text": ""}\n', "There is no text in"),
        (b"", "There is no text in"),
    ],
)
def test_bad_lines_are_named(model_folder, tmp_path, content, message):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(content)
    with pytest.raises(HornbookError) as caught:
        bpb(model_folder, path)
    assert message in str(caught.value)


def test_missing_files_are_named(model_folder, tmp_path):
    path = write_lines(tmp_path / "texts.jsonl", [{"text": "x"}])
    with pytest.raises(HornbookError, match=r"Cannot read .*absent"):
        bpb(model_folder, tmp_path / "absent.jsonl")
    with pytest.raises(HornbookError, match="no model in"):
        bpb(tmp_path / "nowhere", path)
    (tmp_path / "out").mkdir()
    with pytest.raises(HornbookError, match="no model in"):
        bits_step({"model": tmp_path / "out", "sets": tmp_path}, tmp_path, BitsConfig(arm="raw"))


def test_in_bfloat16_the_bits_are_nearly_the_same(model_folder, tokenizer):
    wanted, _ = bits(huggingface.load(model_folder), tokenizer, ITEMS, CONTEXT)
    found, _ = bits(huggingface.load(model_folder).bfloat16(), tokenizer, ITEMS, CONTEXT)
    assert found.sum() == pytest.approx(wanted.sum(), rel=0.01)


def test_threads_have_no_bearing_on_the_bits(model_folder, tokenizer):
    model, before = huggingface.load(model_folder), torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(bits(model, tokenizer, ITEMS * 5, CONTEXT, batch=100)[0])
    torch.set_num_threads(before)
    assert np.array_equal(*found)


def test_a_foreign_tokenizer_is_refused(model_folder, tokenizer):
    larger = open_tokenizer(model_folder)
    larger.add_tokens(["one more"])
    with pytest.raises(HornbookError, match="513 tokens, the model 512"):
        bits(huggingface.load(model_folder), larger, ITEMS, CONTEXT)
