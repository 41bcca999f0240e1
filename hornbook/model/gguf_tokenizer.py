"""The tokenizer inside a GGUF file, as a `tokenizers.Tokenizer` that splits text as llama.cpp does.

A file names its way of cutting text into words (`tokenizer.ggml.pre`) and leaves the rule to the program. A name
without a rule here is refused: other cuts give other tokens, and a model that only seems weak.
"""

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from hornbook.model.gguf_header import GGUFFile
from hornbook.model.pre_tokenizers import IGNORE_MERGES, PRE_TOKENIZERS

_LETTERS = set(pre_tokenizers.ByteLevel.alphabet())


def read_tokenizer(file: GGUFFile) -> Tokenizer:
    """Build the tokenizer of a file.

    Its post-processor starts texts with BOS or with nothing, as the file says. It has none where a file that is not of
    the architecture `llama` says BOS, because then the model does it. Raises HornbookError for anything but a
    byte-level BPE whose cuts are known here.
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
        tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=pre in IGNORE_MERGES))
    except Exception as error:  # tokenizers raises bare Exception
        raise file.refuse(f"tokenizer.ggml.merges do not fit the tokens ({error})") from error
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[pre]
    tokenizer.decoder = decoders.ByteLevel()
    for token, type_ in zip(tokens, types, strict=True):
        if type_ in (gguf.TokenType.CONTROL, gguf.TokenType.UNKNOWN):
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif type_ == gguf.TokenType.USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=False)])
    begins = file.flag("tokenizer.ggml.add_bos_token", pre == "llama-bpe")
    if file.text("general.architecture") == "llama" or not begins:
        tokenizer.post_processor = _start_of_text(file, tokens, begins)
    return tokenizer


def _start_of_text(file: GGUFFile, tokens: list[str], begins: bool) -> processors.TemplateProcessing:
    """BOS and the text, or the text alone."""
    if not begins:
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
