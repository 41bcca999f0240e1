"""Families of tasks that ask a predicate of values outside a plain list: ranges, dictionaries, pairs, grids, texts."""

from hornbook.synthesis.exercises.families import Family

CONTAINER_FAMILIES = (
    Family(
        "numbers up to n", 1, "int", ("$n: n",), "list[int]",
        "${tagged}_up_to list_${tagged}_up_to",
        (
            "Return all numbers from 1 to `$n` (included) that $are.",
            "List the whole numbers from 1 up to and including `$n` that $are.",
        ),
        (
            "$out = []\nfor $x in range(1, $n + 1):\n    if $test:\n        $out.append($x)\nreturn $out",
            "return [$x for $x in range(1, $n + 1) if $test]",
            "$out = []\n$x = 1\nwhile $x <= $n:\n    if $test:\n        $out.append($x)\n    $x += 1\nreturn $out",
        ),
    ),
    Family(
        "sum up to n", 2, "int", ("$n: n",), "int",
        "sum_of_${tagged}_up_to total_of_${tagged}_up_to",
        (
            "Add all numbers from 1 to `$n` (included) that $are.",
            "Return the sum of the whole numbers between 1 and `$n`, both included, that $are.",
        ),
        (
            "$total = 0\nfor $x in range(1, $n + 1):\n    if $test:\n        $total += $x\nreturn $total",
            "return sum($x for $x in range(1, $n + 1) if $test)",
            "$total = 0\n$x = 1\nwhile $x <= $n:\n    if $test:\n        $total += $x\n    $x += 1\nreturn $total",
        ),
    ),
    Family(
        "keys by value", 2, "int", ("$table: table",), "list[str]",
        "names_with_$tagged keys_with_$tagged who_has_$tagged",
        (
            "Return the names whose $one $is, in the order of the dictionary.",
            "`$table` maps names to $many. List the names with a $one that $is.",
        ),
        (
            "$out = []\nfor $key, $x in $table.items():\n    if $test:\n        $out.append($key)\nreturn $out",
            "return [$key for $key, $x in $table.items() if $test]",
            "$out = []\nfor $key in $table:\n    $x = $table[$key]\n    if $test:\n        $out.append($key)\n"
            "return $out",
        ),
        ("An empty dictionary gives an empty list.",),
    ),
    Family(
        "filter a dictionary", 2, "int", ("$table: table",), "dict[str, int]",
        "keep_${tagged}_entries entries_with_$tagged filter_by_$tagged",
        (
            "Return a new dictionary with only those entries of `$table` whose $one $is.",
            "Keep the entries that have a $one that $is, and return them as a new dictionary.",
        ),
        (
            "$out = {}\nfor $key, $x in $table.items():\n    if $test:\n        $out[$key] = $x\nreturn $out",
            "return {$key: $x for $key, $x in $table.items() if $test}",
            "$out = dict($table)\nfor $key, $x in $table.items():\n    if $no:\n        del $out[$key]\nreturn $out",
        ),
        ("The original dictionary is not changed.",),
    ),
    Family(
        "names from pairs", 2, "int", ("$pairs: pairs",), "list[str]",
        "names_with_$tagged list_names_with_$tagged pick_names_with_$tagged",
        (
            "Each entry of `$pairs` is a name with a $one. Return the names whose $one $is.",
            "Given pairs of a name and a $one, list the names where the $one $is.",
        ),
        (
            "$out = []\nfor $key, $x in $pairs:\n    if $test:\n        $out.append($key)\nreturn $out",
            "return [$key for $key, $x in $pairs if $test]",
            "$out = []\nfor pair in $pairs:\n    $key = pair[0]\n    $x = pair[1]\n    if $test:\n"
            "        $out.append($key)\nreturn $out",
        ),
    ),
    Family(
        "count in a grid", 2, "int", ("$grid: grid",), "int",
        "count_${tagged}_in_grid number_of_${tagged}_in_rows",
        (
            "Count the $group in all rows of the grid.",
            "The grid is a list of rows with $many. Return how many of them $are.",
        ),
        (
            "$count = 0\nfor $row in $grid:\n    for $x in $row:\n        if $test:\n            $count += 1\n"
            "return $count",
            "return sum(1 for $row in $grid for $x in $row if $test)",
            "$count = 0\nfor $row in $grid:\n    $count += len([$x for $x in $row if $test])\nreturn $count",
        ),
    ),
    Family(
        "rows with a match", 2, "int", ("$grid: lists",), "list[list[int]]",
        "rows_with_$tagged lists_with_$tagged",
        (
            "Return the rows that hold at least one $one that $is.",
            "Keep every inner list in which some $one $is.",
        ),
        (
            "$out = []\nfor $row in $grid:\n    for $x in $row:\n        if $test:\n            $out.append($row)\n"
            "            break\nreturn $out",
            "return [$row for $row in $grid if any($test for $x in $row)]",
            "$out = []\nfor $row in $grid:\n    if any($test for $x in $row):\n        $out.append($row)\nreturn $out",
        ),
        ("An inner list without $many is left out.",),
    ),
    Family(
        "words of a sentence", 2, "str", ("$text: sentence",), "list[str]",
        "$tagged find_$tagged list_$tagged",
        (
            "Return the words of the text that $are. Words are separated by spaces.",
            "Split `$text` at the spaces and return the words that $are.",
        ),
        (
            "$out = []\nfor $x in $text.split():\n    if $test:\n        $out.append($x)\nreturn $out",
            "return [$x for $x in $text.split() if $test]",
            "words = $text.split()\nreturn [$x for $x in words if $test]",
        ),
    ),
)  # fmt: skip
