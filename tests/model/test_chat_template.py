"""Chat templates: the published forms to the letter, and the marks that transformers reads."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.chat_template import TEMPLATES, builtin_template, encode, render
from hornbook.model.load import chat_template
from hornbook.model.presets import CHAT_TEMPLATES, PRESETS
from hornbook.model.text import load_tokenizer
from tests.model.tiny import tiny_folder, tiny_model

SYSTEM = {"role": "system", "content": "Be brief."}
TALK = [
    {"role": "user", "content": "Was ist größer? 🙂"},
    {"role": "assistant", "content": "Das naïve 漢字."},
    {"role": "user", "content": "And\nnow?"},
    {"role": "assistant", "content": "Done."},
]
ASKED = {  # what the model cards and the facts of the family say
    "phi-3": "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\n",
    "phi-4": "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>Hi<|im_end|>"
    "<|im_start|>assistant<|im_sep|>",
    "phi-4-mini": "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>",
    "qa": "Be brief.\nInstruct: Hi\nOutput:",
}
WRITTEN = {  # what the model is to write of TALK
    "phi-3": ["Das naïve 漢字.<|end|>", "Done.<|end|>"],
    "phi-4": ["Das naïve 漢字.<|im_end|>", "Done.<|im_end|>"],
    "phi-4-mini": ["Das naïve 漢字.<|end|>", "Done.<|end|>"],
    "qa": [" Das naïve 漢字.", " Done.<|endoftext|>"],
}
END = {"eos_token": "<|endoftext|>"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_conversation_has_the_published_form(name: str) -> None:
    asked = [SYSTEM, {"role": "user", "content": "Hi"}]
    assert render(builtin_template(name), asked, add_generation_prompt=True).text == ASKED[name]
    rendered = render(builtin_template(name), TALK, special_tokens=END)
    assert [rendered.text[start:end] for start, end in rendered.spans] == WRITTEN[name]


def test_tools_stand_in_the_system_turn_of_phi_4_mini() -> None:
    asked = [{**SYSTEM, "tools": '[{"name": "add"}]'}, {"role": "user", "content": "1 + 1"}]
    text = render(builtin_template("phi-4-mini"), asked, add_generation_prompt=True).text
    assert text.startswith('<|system|>Be brief.<|tool|>[{"name": "add"}]<|/tool|><|end|><|user|>')


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("messages", [TALK, [SYSTEM, *TALK], TALK[:2]])
def test_tokens_and_mask_are_those_of_transformers(folder: Path, name: str, messages: list[dict[str, str]]) -> None:
    theirs, template = AutoTokenizer.from_pretrained(folder), builtin_template(name)
    wanted = theirs.apply_chat_template(
        messages, chat_template=template, return_assistant_tokens_mask=True, return_dict=True
    )
    ids, mask = encode(load_tokenizer(folder), render(template, messages, special_tokens=END))
    assert ids == wanted["input_ids"] and mask == wanted["assistant_masks"]
    assert 0 < sum(mask) < len(mask)
    prompt = theirs.apply_chat_template(
        messages[:-1], chat_template=template, add_generation_prompt=True, tokenize=False
    )
    assert render(template, messages[:-1], add_generation_prompt=True, special_tokens=END).text == prompt


def test_a_saved_template_is_found_by_transformers_and_by_us(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    template = builtin_template(CHAT_TEMPLATES["phi-4"])
    huggingface.save(tiny_model(), folder, chat_template=template)
    assert AutoTokenizer.from_pretrained(folder).chat_template == template == chat_template(folder)
    (folder / "chat_template.jinja").unlink()
    described = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**described, "chat_template": "older"}))
    assert chat_template(folder) == "older"


def test_every_named_template_and_model_exists() -> None:
    assert set(CHAT_TEMPLATES.values()) == set(TEMPLATES) and set(CHAT_TEMPLATES) <= set(PRESETS)
    with pytest.raises(HornbookError, match=r"phi-5.*phi-4-mini"):
        builtin_template("phi-5")


@pytest.mark.parametrize(
    "template",
    ["{% if", "{{ raise_exception('no system role') }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}"],
)
def test_a_template_that_is_broken_refuses_or_breaks_out_is_one_clear_error(template: str) -> None:
    with pytest.raises(HornbookError, match="chat template"):
        render(template, TALK)
