"""Words that tell something about a passage of code, and the group that each belongs to.

Every keyword is a group of its own; other words are counted by group only, so that the classifier learns what
kind of words a lesson has rather than which package it comes from.
"""

KEYWORDS = """
false none true and as assert async await break class continue def del elif else except finally for from global
if import in is lambda not or pass raise return try while with yield self cls super print isinstance
""".split()

_GROUPS = {
    "builtins": """
        abs all any ascii bin bool bytearray bytes callable chr complex dict dir divmod enumerate eval exec filter
        float format frozenset getattr hasattr hash help hex id input int iter len list map max min next object oct
        open ord pow property range repr reversed round set setattr slice sorted staticmethod classmethod str sum
        tuple type vars zip exception valueerror typeerror keyerror indexerror runtimeerror attributeerror
        notimplementederror stopiteration oserror importerror assertionerror zerodivisionerror notimplemented""",
    "stdlib": """
        abc argparse array ast asyncio base64 bisect calendar cmath collections contextlib copy csv ctypes
        dataclasses datetime decimal difflib doctest enum errno fnmatch fractions functools gc glob gzip hashlib
        heapq html http importlib inspect io itertools json locale logging math mimetypes multiprocessing numbers
        operator os path pathlib pickle platform pprint queue random re secrets select shutil signal socket sqlite3
        ssl stat statistics string struct subprocess sys tempfile textwrap threading time timeit tkinter token
        tokenize traceback types typing unicodedata unittest urllib uuid warnings weakref xml zipfile zlib""",
    "english": """
        the of a an to are this that be by which can it we its these when each used has have will must may more
        than other first then there they into between you no does only same also such one two so""",
    "sections": """
        example examples note notes returns parameters param rtype raises optional default algorithm references
        given simple args arguments see usage yields""",
    "testing": """
        test tests testcase pytest fixture mock assertequal assertraises asserttrue assertfalse assert_equal
        assert_allclose parametrize expected skip""",
    "framework": """
        torch tensor tensors config dtype device model kwargs numpy np pd cuda batch layer deprecated generated
        license copyright overload backend internal""",
}

GROUPS = ["other", *KEYWORDS, *_GROUPS]  # index 0: every word that is not listed here


def group_of_words() -> dict[str, int]:
    """Index into GROUPS of every listed word (lower case); a word in two lists belongs to the first."""
    group: dict[str, int] = {}
    for word in KEYWORDS:
        group[word] = GROUPS.index(word)
    for name, words in _GROUPS.items():
        for word in words.split():
            group.setdefault(word, GROUPS.index(name))
    return group
