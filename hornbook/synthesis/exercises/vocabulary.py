"""What exercises are made of: subjects (what a list holds), predicates (what is asked of a value), mappings.

Code and phrases are templates of `string.Template`: `$x` is one value, `$one` and `$many` the subject's words, `$it`
a phrase such as "each price", `$c` a constant that is drawn, `$mid` a value from the middle of the subject's range.
"""

from dataclasses import dataclass

Value = int | str


@dataclass(frozen=True)
class Subject:
    """Things that a list holds. `variable` and `list_name` are names in code, `one` and `many` words in sentences."""

    kind: str  # int or str
    one: str
    many: str
    variable: str
    list_name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Predicate:
    """A yes-or-no question about one value."""

    key: str
    kind: str  # of the value
    code: tuple[str, ...]  # several ways to write the same
    negated: str
    are: str  # after "that", plural
    is_: str  # singular
    tag: str  # part of a function's name
    adjective: str = ""  # before the noun, where there is one
    after: bool = False  # the tag stands after the noun
    parameters: tuple[str, ...] = ()  # "name: kind", see values.py
    constants: tuple[Value, ...] = ()  # for $c
    natural: bool = False  # asked of numbers >= 0 only


@dataclass(frozen=True)
class Mapping:
    """A value made from one value."""

    key: str
    kind: str
    returns: str
    code: tuple[str, ...]
    phrase: str  # with $it
    tag: str  # before the noun in a function's name
    by: str = ""  # what to sort or group by, when that makes sense
    parameters: tuple[str, ...] = ()
    constants: tuple[Value, ...] = ()
    natural: bool = False


def _numbers(one: str, many: str, low: int, high: int) -> Subject:
    return Subject("int", one, many, one.split()[-1], many.split()[-1], tuple(range(low, high + 1)))


def _strings(one: str, many: str, variable: str, list_name: str, values: str) -> Subject:
    return Subject("str", one, many, variable, list_name, tuple(value.strip() for value in values.split(",")))


SUBJECTS = (
    _numbers("number", "numbers", -20, 40),
    _numbers("number", "numbers", 0, 99),
    _numbers("value", "values", -30, 60),
    _numbers("price", "prices", 1, 60),
    _numbers("temperature", "temperatures", -15, 35),
    _numbers("score", "scores", 0, 100),
    _numbers("age", "ages", 1, 90),
    _numbers("distance", "distances", 1, 50),
    _numbers("balance", "balances", -50, 120),
    _numbers("reading", "readings", -10, 60),
    _numbers("weight", "weights", 1, 90),
    _numbers("amount", "amounts", 0, 120),
    _numbers("mark", "marks", 0, 30),
    _numbers("duration", "durations", 1, 120),
    _numbers("delay", "delays", 0, 45),
    _numbers("change", "changes", -20, 20),
    _numbers("speed", "speeds", 0, 130),
    _numbers("quantity", "quantities", 0, 30),
    _numbers("step", "steps", -9, 9),
    _numbers("height", "heights", 90, 200),
    _numbers("room number", "room numbers", 1, 140),
    _strings(
        "word", "words", "word", "words",
        "apple, level, sky, umbrella, noon, tree, egg, radar, ocean, kayak, bee, lantern, idea, rhythm, stone, area, "
        "moss, window, civic, otter, eve, river, tent, echo, sunset",
    ),
    _strings(
        "word", "words", "word", "words",
        "Garden, lamp, BREAD, island, Anna, maple, Under, CODE, echo, paper, Orange, tiger, NORTH, usual, Eel, melon, "
        "otto, Pine, YES, inner",
    ),
    _strings(
        "name", "names", "name", "names",
        "Anna, Bob, Clara, Otto, Eva, Ian, Maria, Uwe, Hannah, Leo, Oscar, Zoe, Amir, Lena, Ugo, Sam, Ines, Theodore",
    ),
    _strings(
        "name", "names", "name", "names",
        "ada lovelace, bob, Carl, IRIS, otto, emma stone, Ula, ned, ava, Max Frank, EVE, hannah, ray, Tom, Alba Ruiz",
    ),
    _strings(
        "city name", "city names", "city", "cities",
        "Oslo, Paris, Athens, Lima, Ankara, New York, Rome, Cairo, Utrecht, Quito, Ulm, San Jose, Essen, Tokyo, Bern",
    ),
    _strings(
        "fruit name", "fruit names", "fruit", "fruits",
        "apple, banana, cherry, orange, kiwi, mango, fig, plum, pear, lemon, grape, apricot, melon, olive, date",
    ),
    _strings(
        "animal name", "animal names", "animal", "animals",
        "cat, horse, owl, elephant, ant, dog, otter, ibis, goose, eel, rabbit, wolf, eagle, sheep, bee, iguana",
    ),
    _strings(
        "color", "colors", "color", "colors",
        "red, green, blue, orange, indigo, white, black, olive, azure, pink, ivory, grey, umber, yellow",
    ),
    _strings(
        "title", "titles", "title", "titles",
        "The Sea, Home, UPRISING, Echoes, dune, Blue Hour, Atlas, river song, Odd Jobs, IN RED, Ulysses, Night, Area 7",
    ),
    _strings(
        "code", "codes", "code", "codes",
        "A12, b7, XY, K9K, zed, 77, E5, noon, ABBA, q1, UV4, ok, Z, 404, abc, I8, x1x, RST",
    ),
    _strings(
        "tag", "tags", "tag", "tags",
        "new, sale, top10, urgent, EU, b2b, old, offer, ALL, 3d, item, x, used, local, A4, radar, red",
    ),
    _strings(
        "file name", "file names", "name", "files",
        "notes.txt, photo1.png, a.py, README, old notes.txt, test2.py, index.html, Data.csv, UP.txt, list.csv, todo",
    ),
    _strings(
        "message", "messages", "message", "messages",
        "hello, ok, See you at 5, good night, YES, are you there, level up, Not now, 2 late, on my way, NOON, bye",
    ),
)  # fmt: skip
UP_TO_N = _numbers("number", "numbers", 1, 20)  # for tasks about the numbers from 1 to n


def _p(
    kind: str, key: str, code: str | tuple[str, ...], negated: str, are: str, is_: str, tag: str, **more: object
) -> Predicate:
    return Predicate(key, kind, (code,) if isinstance(code, str) else code, negated, are, is_, tag, **more)  # type: ignore[arg-type]


_VOWEL = "(a, e, i, o or u, in either case)"
NUMBER_PREDICATES = (
    _p("int", "even", "$x % 2 == 0", "$x % 2 != 0", "are even", "is even", "even", adjective="even"),
    _p("int", "odd", ("$x % 2 == 1", "$x % 2 != 0"), "$x % 2 == 0", "are odd", "is odd", "odd", adjective="odd"),
    _p("int", "positive", "$x > 0", "$x <= 0", "are positive", "is positive", "positive", adjective="positive"),
    _p("int", "negative", "$x < 0", "$x >= 0", "are negative", "is negative", "negative", adjective="negative"),
    _p("int", "not zero", "$x != 0", "$x == 0", "are not zero", "is not zero", "nonzero", adjective="non-zero"),
    _p("int", "multiple of a constant", "$x % $c == 0", "$x % $c != 0", "are divisible by $c", "is divisible by $c",
       "divisible_by_${c}", after=True, constants=(3, 4, 5, 6, 7, 10)),
    _p("int", "multiple of a parameter", "$x % $divisor == 0", "$x % $divisor != 0", "are multiples of `$divisor`",
       "is a multiple of `$divisor`", "divisible_by", after=True, parameters=("divisor|k|base: divisor",)),
    _p("int", "greater than a constant", "$x > $mid", "$x <= $mid", "are greater than $mid", "is greater than $mid",
       "above_${mid}", after=True),
    _p("int", "greater than a parameter", "$x > $limit", "$x <= $limit", "are greater than `$limit`",
       "is greater than `$limit`", "above", after=True, parameters=("limit|threshold|bound: item",)),
    _p("int", "less than a constant", "$x < $mid", "$x >= $mid", "are less than $mid", "is less than $mid",
       "below_${mid}", after=True),
    _p("int", "less than a parameter", "$x < $limit", "$x >= $limit", "are less than `$limit`",
       "is less than `$limit`", "below", after=True, parameters=("limit|threshold|maximum: item",)),
    _p("int", "at least a parameter", "$x >= $minimum", "$x < $minimum", "are at least `$minimum`",
       "is at least `$minimum`", "at_least", after=True, parameters=("minimum|lowest|target: item",)),
    _p("int", "within a range", ("$low <= $x <= $high", "$x >= $low and $x <= $high"), "$x < $low or $x > $high",
       "lie between `$low` and `$high` (both included)", "lies between `$low` and `$high` (both included)",
       "in_range", after=True, parameters=("low|lower|start: low", "high|upper|end: high")),
    _p("int", "outside a range", "$x < $low or $x > $high", "$low <= $x <= $high",
       "are below `$low` or above `$high`", "is below `$low` or above `$high`",
       "out_of_range", after=True, parameters=("low|lower|floor: low", "high|upper|ceiling: high")),
    _p("int", "different from a parameter", "$x != $other", "$x == $other", "are different from `$other`",
       "is different from `$other`", "other_than", after=True, parameters=("other|unwanted|target: item",)),
    _p("int", "ending in a digit", ("$x % 10 == $c", 'str($x).endswith("$c")'), "$x % 10 != $c",
    "end with the digit $c",
       "ends with the digit $c", "ending_in_${c}", after=True, constants=(0, 1, 3, 5, 7), natural=True),
    _p("int", "two digits", ("10 <= $x <= 99", "len(str($x)) == 2"), "not 10 <= $x <= 99",
       "have exactly two digits", "has exactly two digits", "two_digit", adjective="two-digit", natural=True),
    _p("int", "even and above a constant", "$x % 2 == 0 and $x > $mid", "$x % 2 != 0 or $x <= $mid",
       "are even and greater than $mid", "is even and greater than $mid", "even_above_${mid}", after=True),
    _p("int", "multiple of one of two constants", "$x % $c == 0 or $x % 7 == 0", "$x % $c != 0 and $x % 7 != 0",
       "are divisible by $c or by 7", "is divisible by $c or by 7", "divisible_by_${c}_or_7", after=True,
       constants=(2, 3, 4, 5)),
)  # fmt: skip
WORD_PREDICATES = (
    _p("str", "starting with a vowel", ('$x[0].lower() in "aeiou"', '$x[0] in "aeiouAEIOU"'),
       '$x[0].lower() not in "aeiou"', f"start with a vowel {_VOWEL}", f"starts with a vowel {_VOWEL}",
       "starting_with_vowel", after=True),
    _p("str", "ending with a vowel", ('$x[-1].lower() in "aeiou"', '$x[-1] in "aeiouAEIOU"'),
       '$x[-1].lower() not in "aeiou"', f"end with a vowel {_VOWEL}", f"ends with a vowel {_VOWEL}",
       "ending_with_vowel", after=True),
    _p("str", "starting with a parameter", ("$x.startswith($letter)", "$x[0] == $letter"),
       "not $x.startswith($letter)", "start with `$letter`", "starts with `$letter`", "starting_with", after=True,
       parameters=("letter|initial|first: first",)),
    _p("str", "starting with a constant", ('$x.startswith("$c")', '$x[0] == "$c"'), 'not $x.startswith("$c")',
       "start with the letter '$c'", "starts with the letter '$c'", "starting_with_${c}", after=True,
       constants=("a", "b", "e", "o")),
    _p("str", "ending with a parameter", "$x.endswith($suffix)", "not $x.endswith($suffix)", "end with `$suffix`",
       "ends with `$suffix`", "ending_with", after=True, parameters=("suffix|ending|end: last",)),
    _p("str", "containing a parameter", "$letter in $x", "$letter not in $x", "contain `$letter`",
       "contains `$letter`", "containing", after=True, parameters=("letter|character|wanted: letter",)),
    _p("str", "containing a constant", '"$c" in $x', '"$c" not in $x', "contain the letter '$c'",
       "contains the letter '$c'", "with_${c}", after=True, constants=("a", "e", "i", "o", "r", "n")),
    _p("str", "without a parameter", "$letter not in $x", "$letter in $x", "do not contain `$letter`",
       "does not contain `$letter`", "without", after=True, parameters=("letter|forbidden|unwanted: letter",)),
    _p("str", "longer than a parameter", "len($x) > $length", "len($x) <= $length",
       "have more than `$length` characters", "has more than `$length` characters", "longer_than", after=True,
       parameters=("length|limit|size: length",)),
    _p("str", "longer than a constant", "len($x) > $c", "len($x) <= $c", "are longer than $c characters",
       "is longer than $c characters", "long", adjective="", constants=(3, 4, 5)),
    _p("str", "shorter than a constant", "len($x) < $c", "len($x) >= $c", "are shorter than $c characters",
       "is shorter than $c characters", "short", constants=(4, 5, 6)),
    _p("str", "exact length", "len($x) == $length", "len($x) != $length", "have exactly `$length` characters",
       "has exactly `$length` characters", "of_length", after=True, parameters=("length|size|n: length",)),
    _p("str", "even length", "len($x) % 2 == 0", "len($x) % 2 != 0", "have an even number of characters",
       "has an even number of characters", "even_length", adjective=""),
    _p("str", "palindrome", "$x == $x[::-1]", "$x != $x[::-1]", "read the same forwards and backwards",
       "reads the same forwards and backwards", "palindromic", adjective=""),
    _p("str", "same first and last", "$x[0] == $x[-1]", "$x[0] != $x[-1]", "begin and end with the same character",
       "begins and ends with the same character", "with_equal_ends", after=True),
    _p("str", "capitalised", "$x[0].isupper()", "not $x[0].isupper()", "start with a capital letter",
       "starts with a capital letter", "capitalized", adjective="capitalized"),
    _p("str", "upper case", "$x.isupper()", "not $x.isupper()", "are written entirely in upper case",
       "is written entirely in upper case", "uppercase"),
    _p("str", "containing a digit", "any($ch.isdigit() for $ch in $x)", "not any($ch.isdigit() for $ch in $x)",
       "contain at least one digit", "contains at least one digit", "with_digits", after=True),
    _p("str", "containing a space", '" " in $x', '" " not in $x', "contain a space", "contains a space",
       "with_spaces", after=True),
    _p("str", "several vowels", 'sum($ch in "aeiou" for $ch in $x) >= $c', 'sum($ch in "aeiou" for $ch in $x) < $c',
       "have at least $c lower-case vowels", "has at least $c lower-case vowels", "with_vowels", after=True,
       constants=(2, 3)),
)  # fmt: skip
PREDICATES = NUMBER_PREDICATES + WORD_PREDICATES


def _m(
    kind: str, returns: str, key: str, code: str | tuple[str, ...], phrase: str, tag: str, **more: object
) -> Mapping:
    return Mapping(key, kind, returns, (code,) if isinstance(code, str) else code, phrase, tag, **more)  # type: ignore[arg-type]


NUMBER_MAPPINGS = (
    _m("int", "int", "double", ("$x * 2", "2 * $x"), "twice $it", "doubled"),
    _m("int", "int", "square", ("$x ** 2", "$x * $x"), "the square of $it", "squared", by="square"),
    _m("int", "int", "cube", "$x ** 3", "the cube of $it", "cubed"),
    _m("int", "int", "add a constant", "$x + $c", "$it plus $c", "increased", constants=(1, 2, 3, 5, 10)),
    _m("int", "int", "subtract a parameter", "$x - $offset", "$it minus `$offset`", "reduced",
       parameters=("offset|discount|deduction: small",)),
    _m("int", "int", "multiply by a parameter", "$x * $factor", "$it multiplied by `$factor`", "scaled",
       parameters=("factor|rate|multiplier: small",)),
    _m("int", "int", "negate", "-$x", "$it with the opposite sign", "negated"),
    _m("int", "int", "absolute value", "abs($x)", "the absolute value of $it", "absolute", by="absolute value"),
    _m("int", "int", "halve", "$x // 2", "half of $it, rounded down", "halved"),
    _m("int", "int", "last digit", "$x % 10", "the last digit of $it", "last_digits_of", by="last digit", natural=True),
    _m("int", "int", "remainder", "$x % $c", "the remainder of $it divided by $c", "remainders_of",
       by="remainder when divided by $c", constants=(3, 4, 5, 7)),
    _m("int", "int", "distance to a parameter", "abs($x - $target)", "the distance between $it and `$target`",
       "distances_from_target_of", by="distance to `$target`", parameters=("target|center|goal: item",)),
    _m("int", "int", "cap", "min($x, $limit)", "$it, but never more than `$limit`,", "capped",
       parameters=("limit|maximum|cap: item",)),
    _m("int", "int", "at least zero", "max($x, 0)", "$it, or 0 where it is negative,", "clipped"),
    _m("int", "int", "number of digits", "len(str($x))", "the number of digits of $it", "digit_counts_of",
       by="number of digits", natural=True),
    _m("int", "str", "as text", "str($x)", "$it as a string", "stringified"),
    _m("int", "str", "parity word", '"even" if $x % 2 == 0 else "odd"', 'the word "even" or "odd" for $it', "parity_of",
       by="parity (`\"even\"` or `\"odd\"`)"),
)  # fmt: skip
WORD_MAPPINGS = (
    _m("str", "str", "upper case", "$x.upper()", "$it in upper case", "uppercase"),
    _m("str", "str", "lower case", "$x.lower()", "$it in lower case", "lowercase", by="lower-case form"),
    _m("str", "int", "length", "len($x)", "the length of $it", "lengths_of", by="length"),
    _m("str", "str", "first character", "$x[0]", "the first character of $it", "initials_of", by="first character"),
    _m("str", "str", "last character", "$x[-1]", "the last character of $it", "endings_of", by="last character"),
    _m("str", "str", "reverse", ("$x[::-1]", '"".join(reversed($x))'), "$it spelled backwards", "reversed"),
    _m("str", "str", "without the first character", "$x[1:]", "$it without its first character", "trimmed"),
    _m("str", "str", "exclamation mark", ('$x + "!"', 'f"{$x}!"'), "$it followed by an exclamation mark", "excited"),
    _m("str", "str", "prefix", ("$prefix + $x", 'f"{$prefix}{$x}"'), "$it with `$prefix` put in front of it",
    "prefixed",
       parameters=("prefix|start|mark: word",)),
    _m("str", "str", "repeat", ("$x * 2", "$x + $x"), "$it written twice in a row", "doubled"),
    _m("str", "str", "beginning", "$x[:$c]", "the first $c characters of $it", "shortened", constants=(2, 3, 4)),
    _m("str", "int", "vowel count", ('sum($ch in "aeiou" for $ch in $x)', 'sum(1 for $ch in $x if $ch in "aeiou")'),
       "the number of lower-case vowels in $it", "vowel_counts_of", by="number of lower-case vowels"),
    _m("str", "str", "dashes for a letter", '$x.replace("$c", "-")', "$it with every '$c' replaced by a dash",
       "masked", constants=("a", "e", "o")),
    _m("str", "int", "count of a parameter", "$x.count($letter)", "how often `$letter` occurs in $it",
       "letter_counts_of", by="count of `$letter`", parameters=("letter|character|symbol: letter",)),
)  # fmt: skip
MAPPINGS = NUMBER_MAPPINGS + WORD_MAPPINGS
