"""The tokenizer inside a GGUF file, as a `tokenizers.Tokenizer` that splits text as llama.cpp does.

A file names its way of cutting text into words (`tokenizer.ggml.pre`) and leaves the rule to the program. A name
without a rule here is refused: other cuts give other tokens, and a model that only seems weak.
"""

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from hornbook.model.gguf_header import GGUFFile

_WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # the cut of GPT-2
_DIGITS_FIRST = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _WORDS])
# Llama 3: contractions, words with one sign before them, up to three digits, signs, line ends, spaces.
_LLAMA_3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA_3 = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(_LLAMA_3_WORDS), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)
PRE_TOKENIZERS = {"gpt-2": _WORDS, "smollm": _DIGITS_FIRST, "starcoder": _DIGITS_FIRST, "llama-bpe": _LLAMA_3}
_LETTERS = set(pre_tokenizers.ByteLevel.alphabet())


def read_tokenizer(file: GGUFFile) -> Tokenizer:
    """Build the tokenizer of a file.

    Where an architecture `llama` says whether a text starts with BOS, the post-processor does it. Raises
    HornbookError for anything but a byte-level BPE whose cuts are known here.
    """
    if (kind := file.text("tokenizer.ggml.model")) != "gpt2":
        raise file.refuse(f"its tokenizer is of the kind {kind!r}, and only 'gpt2' (byte-level BPE) is known")
    if file.flag("tokenizer.ggml.add_space_prefix", False):
        raise file.refuse("its tokenizer puts a space before every text")
    pre = file.text("tokenizer.ggml.pre", "default")
    if pre not in PRE_TOKENIZERS:
        known = ", ".join(PRE_TOKENIZERS)
        raise file.refuse(f"tokenizer.ggml.pre is {pre!r}, a way of cutting text that is not known here ({known} are)")
    tokens, types = _tokens(file)
    vocab = {token: row for row, token in enumerate(tokens) if types[row] != gguf.TokenType.UNUSED}
    merges = [tuple(pair.split(" ", 1)) for pair in file.items("tokenizer.ggml.merges", str)]
    try:
        # Llama 3 takes a word that is a token as it is, even where no merges lead to it.
        tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=pre == "llama-bpe"))
    except Exception as error:  # tokenizers raises bare Exception
        raise file.refuse(f"tokenizer.ggml.merges do not fit the tokens ({error})") from error
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[pre]
    tokenizer.decoder = decoders.ByteLevel()
    for token, type_ in zip(tokens, types, strict=True):
        if type_ in (gguf.TokenType.CONTROL, gguf.TokenType.UNKNOWN):
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif type_ == gguf.TokenType.USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=False)])
    if file.text("general.architecture") == "llama":
        tokenizer.post_processor = _start_of_text(file, tokens, begins=pre == "llama-bpe")
    return tokenizer


def _start_of_text(file: GGUFFile, tokens: list[str], *, begins: bool) -> processors.TemplateProcessing:
    """BOS and the text, or the text alone; `begins` says which where the file does not."""
    if not file.flag("tokenizer.ggml.add_bos_token", begins):
        return processors.TemplateProcessing(single="$A")
    row = file.integer("tokenizer.ggml.bos_token_id")
    if row >= len(tokens):
        raise file.refuse(f"tokenizer.ggml.bos_token_id is {row}, and there are {len(tokens)} tokens")
    return processors.TemplateProcessing(single=[tokens[row], "$A"], special_tokens=[(tokens[row], row)])


def _tokens(file: GGUFFile) -> tuple[list[str], list[int]]:
    """Text and type of every row of the embedding."""
    tokens = file.items("tokenizer.ggml.tokens", str)
    types = file.items("tokenizer.ggml.token_type", int)
    rows = file.shape("token_embd.weight")[0]
    if not len(tokens) == len(types) == rows:
        raise file.refuse(
            f"it has {len(tokens)} tokens, {len(types)} types of them and {rows} rows of token_embd.weight"
        )
    if len(set(tokens)) != len(tokens):
        raise file.refuse("tokenizer.ggml.tokens has the same token twice")
    for row, (token, type_) in enumerate(zip(tokens, types, strict=True)):
        if type_ not in list(gguf.TokenType) or type_ == gguf.TokenType.BYTE:
            raise file.refuse(f"tokenizer.ggml.token_type of token {row} is {type_}, which a byte-level BPE has not")
        if type_ == gguf.TokenType.NORMAL and not _LETTERS.issuperset(token):
            raise file.refuse(f"token {row} of tokenizer.ggml.tokens, {token!r}, is not written in bytes")
    return tokens, types
