"""Tasks about numbers: two lists side by side, neighbours, running values, grids, digits, dictionaries."""

from hornbook.synthesis.exercises.families import Family
from hornbook.synthesis.exercises.single_texts import Single, task

# Elementwise operations: key, code, phrase, part of a name.
_PAIRWISE = (
    ("sum", "a + b", "the sum", "sums"),
    ("difference", "a - b", "the first minus the second", "differences"),
    ("product", "a * b", "the product", "products"),
    ("larger", "max(a, b)", "the larger one", "maxima"),
    ("smaller", "min(a, b)", "the smaller one", "minima"),
    ("distance", "abs(a - b)", "the absolute difference", "distances"),
)
# Comparisons of two values: key, code, phrase with "the first ... the second", part of a name, parameters.
_COMPARISONS = (
    ("larger", "b > a", "the second is larger than the first", "rises", ""),
    ("smaller", "b < a", "the second is smaller than the first", "falls", ""),
    ("equal", "a == b", "both are equal", "repeats", ""),
    ("far apart", "abs(a - b) > $gap", "the two differ by more than `$gap`", "jumps", ", gap|limit|step: divisor"),
    ("same parity", "a % 2 == b % 2", "both are even or both are odd", "same_parity", ""),
    ("sum above", "a + b > $mid", "the sum is greater than $mid", "large_sums", ""),
)
# What becomes of a list of numbers: key, code, phrase, part of a name, value for an empty list.
_AGGREGATES = (
    ("sum", "sum($row)", "sum", "sums"),
    ("largest", "max($row)", "maximum", "maxima"),
    ("smallest", "min($row)", "minimum", "minima"),
    ("spread", "max($row) - min($row)", "difference between maximum and minimum", "spreads"),
    ("first plus last", "$row[0] + $row[-1]", "sum of the first and the last value", "end_sums"),
)
_DIGITS = (
    ("even", "$d % 2 == 0", "even digits", "even_digits", ""),
    ("odd", "$d % 2 == 1", "odd digits", "odd_digits", ""),
    ("above five", "$d > 5", "digits greater than 5", "large_digits", ""),
    ("multiple of three", "$d % 3 == 0", "digits that are divisible by 3", "threefold_digits", ""),
    ("at least a parameter", "$d >= $minimum", "digits that are at least `$minimum`", "digits_from",
     ", minimum|lowest|low_digit: small"),
    ("any", "", "digits", "digits", ""),
)  # fmt: skip


def _two_lists() -> list[Single]:
    tasks = []
    for key, code, phrase, tag in _PAIRWISE:
        tasks.append(
            task(
                "two lists",
                key,
                1,
                "$xs: list, others|second|more: list2",
                "list[int]",
                f"pairwise_{tag} {tag}_of_lists combine_{tag} element_{tag}",
                (
                    f"Both lists have the same length. Return {phrase} of the two values at each position.",
                    f"Go through `$xs` and `$others` side by side, and return for each pair {phrase}.",
                ),
                (
                    f"return [{code} for a, b in zip($xs, $others)]",
                    f"$out = []\nfor a, b in zip($xs, $others):\n    $out.append({code})\nreturn $out",
                    f"$out = []\nfor $i in range(len($xs)):\n    a = $xs[$i]\n    b = $others[$i]\n"
                    f"    $out.append({code})\n"
                    "return $out",
                ),
                kind="int",
            )
        )
        tasks.append(
            task(
                "total of two lists",
                key,
                2,
                "$xs: list, others|second|more: list2",
                "int",
                f"total_of_{tag} sum_{tag} add_{tag}",
                (
                    f"For each position take {phrase} of the values in both lists, and return the total.",
                    f"Both lists have the same length. Add up, over all pairs of values, {phrase}.",
                ),
                (
                    f"return sum({code} for a, b in zip($xs, $others))",
                    f"$total = 0\nfor a, b in zip($xs, $others):\n    $total += {code}\nreturn $total",
                ),
                kind="int",
            )
        )
    for key, test, phrase, tag, extra in _COMPARISONS:
        tasks.append(
            task(
                "compare two lists",
                key,
                2,
                "$xs: list, others|second|more: list2" + extra,
                "int",
                f"count_{tag}_between count_pairs_with_{tag}",
                (
                    f"Compare both lists position by position and count the pairs in which {phrase}.",
                    f"How many pairs of values at the same position are there such that {phrase}?",
                ),
                (
                    f"return sum(1 for a, b in zip($xs, $others) if {test})",
                    f"$count = 0\nfor a, b in zip($xs, $others):\n    if {test}:\n        $count += 1\nreturn $count",
                ),
                kind="int",
            )
        )
        tasks += _neighbours(key, test, phrase, tag, extra)
    return tasks  # fmt: skip


def _neighbours(key: str, test: str, phrase: str, tag: str, extra: str) -> list[Single]:
    parameters = "$xs: list" + extra
    return [
        task("count neighbours", key, 2, parameters, "int", f"count_{tag} number_of_{tag} how_many_{tag}",
              (f"Count the pairs of neighbouring $many in which {phrase}.",
               f"How often does it happen that, of two $many next to each other, {phrase}?"),
              (f"$count = 0\nfor a, b in zip($xs, $xs[1:]):\n    if {test}:\n        $count += 1\nreturn $count",
               f"return sum(1 for a, b in zip($xs, $xs[1:]) if {test})",
               f"$count = 0\nfor $i in range(1, len($xs)):\n    a, b = $xs[$i - 1], $xs[$i]\n    if {test}:\n"
               "        $count += 1\nreturn $count"), kind="int"),
        task("all neighbours", key, 2, parameters, "bool", f"always_{tag} only_{tag} check_{tag}",
              (f"Check whether for every two neighbouring $many {phrase}.",
               f"Return True if {phrase} in each pair of neighbours, and False otherwise."),
              (f"return all({test} for a, b in zip($xs, $xs[1:]))",
               f"for a, b in zip($xs, $xs[1:]):\n    if not ({test}):\n        return False\nreturn True",
               f"for $i in range(len($xs) - 1):\n    a, b = $xs[$i], $xs[$i + 1]\n    if not ({test}):\n"
               "        return False\nreturn True"), ("Fewer than two $many give True.",), kind="int"),
        task("first neighbours", key, 2, parameters, "int", f"first_of_{tag} find_first_of_{tag} where_{tag}",
              (f"Find the first two neighbouring $many such that {phrase}, and return the index of the left "
              f"one, or -1.",
               f"Return the smallest index `i` where {phrase}, the two being the $many at `i` and `i + 1`. "
               "Return -1 if there is none."),
              (f"for $i in range(len($xs) - 1):\n    a, b = $xs[$i], $xs[$i + 1]\n    if {test}:\n        return $i\n"
               "return -1",
               f"for $i, (a, b) in enumerate(zip($xs, $xs[1:])):\n    if {test}:\n        return $i\nreturn -1"),
              kind="int"),
    ]  # fmt: skip


def _running() -> list[Single]:
    rows = (("sum", "$total + $x", "the sum", "totals"), ("largest", "max($total, $x)", "the largest", "maxima"),
            ("smallest", "min($total, $x)", "the smallest", "minima"), ("product", "$total * $x", "the product",
            "products"),
            ("alternating sum", "$x - $total", "the result of subtracting, at each step, the old result from the new "
             "$one,", "turns"))  # fmt: skip
    tasks = []
    for key, code, phrase, tag in rows:
        tasks.append(
            task(
                "running value",
                key,
                2,
                "$xs: list",
                "list[int]",
                f"running_{tag} cumulative_{tag} {tag}_so_far",
                (
                    f"For each position return {phrase} of all $many up to and including it."
                    if key != "alternating sum"
                    else f"Begin with the first $one. Return, for each position, {phrase} up to there.",
                ),
                (
                    f"$out = []\nfor $x in $xs:\n    if not $out:\n        $out.append($x)\n    else:\n"
                    f"        $total = $out[-1]\n        $out.append({code})\nreturn $out",
                    f"if not $xs:\n    return []\n$total = $xs[0]\n$out = [$total]\nfor $x in $xs[1:]:\n"
                    f"    $total = {code}\n"
                    "    $out.append($total)\nreturn $out",
                ),
                ("An empty list gives an empty list.",),
                kind="int",
            )
        )
    return tasks  # fmt: skip


def _grids() -> list[Single]:
    tasks = []
    for key, code, phrase, tag in _AGGREGATES:
        tasks += [
            task(
                "rows of a grid",
                key,
                2,
                "$grid: grid",
                "list[int]",
                f"row_{tag} {tag}_of_rows {tag}_per_row",
                (f"Return the {phrase} of each row.", f"For every row of the grid compute the {phrase}."),
                (
                    f"return [{code} for $row in $grid]",
                    f"$out = []\nfor $row in $grid:\n    $out.append({code})\nreturn $out",
                ),
                kind="int",
            ),
            task(
                "columns of a grid",
                key,
                3,
                "$grid: grid",
                "list[int]",
                f"column_{tag} {tag}_of_columns",
                (
                    f"Return the {phrase} of each column. All rows have the same length.",
                    f"The grid is a list of equally long rows. For every column compute the {phrase}.",
                ),
                (
                    f"return [{code} for $row in zip(*$grid)]".replace("$row", "column"),
                    f"if not $grid:\n    return []\n$out = []\nfor $i in range(len($grid[0])):\n"
                    f"    column = [$row[$i] for $row in $grid]\n    $out.append({code.replace('$row', 'column')})\n"
                    "return $out",
                ),
                kind="int",
            ),
            task(
                "best row",
                key,
                3,
                "$grid: grid",
                "int",
                f"index_of_row_by_{tag} best_row_by_{tag}",
                (
                    f"Return the index of the row with the largest {phrase} (the first of several), or -1 "
                    f"without rows.",
                    f"Which row of the grid has the largest {phrase}? Return its index; the first one wins a tie, and "
                    "an empty grid gives -1.",
                ),
                (
                    f"if not $grid:\n    return -1\nreturn max(range(len($grid)), key=lambda $i: "
                    f"{code.replace('$row', '$grid[$i]')})",
                    f"$best = -1\nbest_value = 0\nfor $i, $row in enumerate($grid):\n    value = {code}\n"
                    "    if $best == -1 or value > best_value:\n        $best = $i\n        best_value = value\n"
                    "return $best",
                ),
                kind="int",
            ),
        ]
        if key in ("sum", "largest", "smallest"):
            tasks.append(
                task(
                    "windows",
                    key,
                    3,
                    "$xs: list",
                    "list[int]",
                    f"{tag}_of_three window_{tag}",
                    (
                        f"Return the {phrase} of every three neighbouring $many.",
                        f"Slide a window of three $many over the list and return the {phrase} of each window.",
                    ),
                    (
                        f"return [{code.replace('$row', '$xs[$i : $i + 3]')} for $i in range(len($xs) - 2)]",
                        f"$out = []\nfor $i in range(len($xs) - 2):\n    window = $xs[$i : $i + 3]\n"
                        f"    $out.append({code.replace('$row', 'window')})\nreturn $out",
                    ),
                    ("Fewer than three $many give an empty list.",),
                    kind="int",
                )
            )
    return tasks  # fmt: skip


def _digits() -> list[Single]:
    tasks = []
    for key, test, phrase, tag, extra in _DIGITS:
        condition = f" if {test}" if test else ""
        guard = f"    if {test}:\n        " if test else "    "
        for family, returns, word, start, step, made, short in (
            ("sum of digits", "int", "sum", "0", "+= $d", "Add up the", "sum({d} for {loop})"),
            ("count digits", "int", "count", "0", "+= 1", "Count the", "sum(1 for {loop})"),
            ("product of digits", "int", "product", "1", "*= $d", "Multiply the", ""),
        ):
            loop = f"$d in map(int, str($number)){condition}"
            solutions = [
                f"$total = {start}\nfor $ch in str($number):\n    $d = int($ch)\n{guard}$total {step}\nreturn $total",
            ]
            if short:
                solutions.append("return " + short.format(d="$d", loop=loop))
            if family != "count digits":  # the number 0 has a digit that this loop does not see
                solutions.append(f"$total = {start}\nwhile $number > 0:\n    $d = $number % 10\n{guard}$total {step}\n"
                                 "    $number //= 10\nreturn $total")  # fmt: skip
            if family == "product of digits":
                del solutions[1:]
            tasks.append(
                task(
                    family,
                    key,
                    2,
                    "number|n|value: natural" + extra,
                    returns,
                    f"{word}_of_{tag} {tag}_{word} {word}_{tag}",
                    (
                        f"{made} {phrase} of a whole number that is not negative.",
                        f"Look at the decimal digits of `$number`. {made} {phrase} and return the result.",
                    ),
                    tuple(solutions),
                    ("Without any such digit the result is 1.",) if word == "product" else (),
                    kind="int",
                )
            )
    return tasks  # fmt: skip


def _dictionaries() -> list[Single]:
    head = ("$table: table",)
    rows = (
        ("total", 1, "int", "total_of_values sum_values add_values", "Return the sum of all values.",
         ("return sum($table.values())", "$total = 0\nfor value in $table.values():\n    $total += value\n"
         "return $total",
          "$total = 0\nfor key in $table:\n    $total += $table[key]\nreturn $total")),
        ("key of the largest", 2, "str | None", "key_of_largest name_with_most leader winner",
         "Return the key with the largest value (the first of several), or None if the dictionary is empty.",
         ("if not $table:\n    return None\nreturn max($table, key=$table.get)",
          "$best = None\nfor key, value in $table.items():\n    if $best is None or value > $table[$best]:\n"
          "        $best = key\nreturn $best", "return max($table, key=lambda key: $table[key], default=None)")),
        ("key of the smallest", 2, "str | None", "key_of_smallest name_with_least lowest_entry",
         "Return the key with the smallest value (the first of several), or None if the dictionary is empty.",
         ("if not $table:\n    return None\nreturn min($table, key=$table.get)",
          "$best = None\nfor key, value in $table.items():\n    if $best is None or value < $table[$best]:\n"
          "        $best = key\nreturn $best")),
        ("average", 2, "float", "average_value mean_of_values", "Return the average of the values, or 0.0 if there are "
         "none.", ("if not $table:\n    return 0.0\nreturn sum($table.values()) / len($table)",
                   "return sum($table.values()) / len($table) if $table else 0.0")),
        ("sorted by value", 2, "list[str]", "keys_by_value rank_keys order_keys",
         "Return the keys, the one with the largest value first. Keys with equal values keep their order.",
         ("return sorted($table, key=$table.get, reverse=True)",
          "return sorted($table, key=lambda key: $table[key], reverse=True)",
          "$out = list($table)\n$out.sort(key=lambda key: -$table[key])\nreturn $out")),
        ("as lines", 1, "list[str]", "describe_entries as_lines format_entries",
         "Return a list of strings such as \"key: value\", one for each entry.",
         ('return [f"{key}: {value}" for key, value in $table.items()]',
          '$out = []\nfor key, value in $table.items():\n    $out.append(f"{key}: {value}")\nreturn $out')),
        ("keys per value", 3, "dict[int, list[str]]", "keys_per_value group_keys collect_keys",
         "Return a dictionary that maps each value to the list of keys that have it.",
         ("$out = {}\nfor key, value in $table.items():\n    $out.setdefault(value, []).append(key)\nreturn $out",
          "$out = {}\nfor key, value in $table.items():\n    if value not in $out:\n        $out[value] = []\n"
          "    $out[value].append(key)\nreturn $out")),
    )  # fmt: skip
    tasks: list[Single] = []
    for key, level, returns, names, wording, solutions in rows:
        wordings = (wording, "`$table` maps names to $many. " + wording)
        tasks.append((Family("dictionary", level, "int", head, returns, names, wordings, solutions), key, "int"))
    merges = (("adding", "$out.get(key, 0) + value", "the values are added"),
              ("keeping the larger", "max($out.get(key, value), value)", "the larger value is kept"),
              ("keeping the first", "$out.get(key, value)", "the value of the first one is kept"))  # fmt: skip
    for key, code, phrase in merges:
        tasks.append(
            task(
                "merge dictionaries",
                key,
                2,
                "$table: table, others|second|more: table2",
                "dict[str, int]",
                "merge_tables combine merge_entries unite",
                (
                    f"Merge two dictionaries. For a key that occurs in both, {phrase}.",
                    f"Return a new dictionary with the entries of both. Where a key is in both, {phrase}.",
                ),
                (
                    f"$out = dict($table)\nfor key, value in $others.items():\n    $out[key] = {code}\nreturn $out",
                    f"$out = $table.copy()\nfor key in $others:\n    value = $others[key]\n"
                    f"    $out[key] = {code}\nreturn $out",
                ),
                ("The two dictionaries are not changed.",),
                kind="int",
            )
        )
    return tasks  # fmt: skip


NUMBER_TASKS: tuple[Single, ...] = (
    *_two_lists(), *_running(), *_grids(), *_digits(), *_dictionaries()
)  # fmt: skip
