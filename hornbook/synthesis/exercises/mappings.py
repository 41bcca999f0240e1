"""Families of tasks that take a mapping: map, sort by, group by, tally, extreme by, sums of mapped values."""

from hornbook.synthesis.exercises.families import Family

_LIST = ("$xs: list",)
_ANY = "int>int int>str str>str str>int"

FILTER_MAP = Family(
    "filter and map", 2, "int str", _LIST, "list[$to]",
    "${done}_${tagged} get_${done}_${tagged} list_${done}_${tagged} transform_$tagged convert_$tagged",
    (
        "For every $one that $is, return $phrase_it. All other $many are left out.",
        "Return a list with $phrase, but only for the $group.",
        "Take only the $group, and return a list with $phrase.",
    ),
    (
        "$out = []\nfor $x in $xs:\n    if $test:\n        $out.append($map)\nreturn $out",
        "return [$map for $x in $xs if $test]",
        "$chosen = [$x for $x in $xs if $test]\nreturn [$map for $x in $chosen]",
        "$out = []\nfor $x in $xs:\n    if $no:\n        continue\n    $out.append($map)\nreturn $out",
    ),
    ("The order stays the same.", "The original list is not changed."),
)  # fmt: skip

MAPPING_FAMILIES = (
    Family(
        "map", 1, _ANY, _LIST, "list[$to]",
        "${done}_$xs get_${done}_$xs list_of_${done}_$xs transform_$xs convert_$xs make_${done}_$xs",
        (
            "Return a list with $phrase, in the same order.",
            "For every $one in the list, take $phrase_it, and return the results as a list.",
            "Given a list of $many, return a new list that holds $phrase.",
        ),
        (
            "$out = []\nfor $x in $xs:\n    $out.append($map)\nreturn $out",
            "return [$map for $x in $xs]",
            "return list(map(lambda $x: $map, $xs))",
            "$out = [$map for $x in $xs]\nreturn $out",
            "$out: list[$to] = []\nfor $i in range(len($xs)):\n    $x = $xs[$i]\n    $out.append($map)\nreturn $out",
        ),
        ("An empty list gives an empty list.", "The original list is not changed."),
    ),
    Family(
        "sum of mapped", 1, "int>int str>int", _LIST, "int",
        "sum_of_${done}_$xs total_of_${done}_$xs add_${done}_$xs",
        (
            "Return the sum over all $many of $phrase_it.",
            "For every $one take $phrase_it, and add everything up.",
            "Go through the $many and return the total of these values: $phrase.",
        ),
        (
            "$total = 0\nfor $x in $xs:\n    $total += $map\nreturn $total",
            "return sum($map for $x in $xs)",
            "$out = [$map for $x in $xs]\nreturn sum($out)",
        ),
        ("An empty list gives 0.",),
    ),
    Family(
        "largest mapped", 2, "int>int str>int", _LIST, "int",
        "largest_of_${done}_$xs max_of_${done}_$xs",
        (
            "Return the largest of these values: $phrase. An empty list gives 0.",
            "For every $one take $phrase_it. Return the largest result, or 0 if the list is empty.",
        ),
        (
            "if not $xs:\n    return 0\nreturn max($map for $x in $xs)",
            "$out = [$map for $x in $xs]\nreturn max($out) if $out else 0",
            "return max(($map for $x in $xs), default=0)",
        ),
    ),
    Family(
        "map in place", 2, "int>int str>str", _LIST, "None",
        "replace_by_${done}_$xs change_to_${done}_$xs update_${done}_$xs",
        (
            "Change the list in place: put $phrase where that $one was. Nothing is returned.",
            "Overwrite the list itself, so that it holds $phrase. Return nothing.",
        ),
        (
            "for $i in range(len($xs)):\n    $x = $xs[$i]\n    $xs[$i] = $map",
            "for $i, $x in enumerate($xs):\n    $xs[$i] = $map",
            "$xs[:] = [$map for $x in $xs]",
        ),
    ),
    Family(
        "sort by", 2, "int>int str>int", _LIST, "list[$type]",
        "sort_by_$key_name sorted_by_$key_name order_by_$key_name arrange_by_$key_name",
        (
            "Return the $many sorted by their $by, smallest first.",
            "Sort the $many by $by in ascending order, and return them as a new list.",
            "Put the $many in order of their $by, starting with the smallest.",
        ),
        (
            "return sorted($xs, key=lambda $x: $map)",
            "def sort_key($x: $type) -> $to:\n    return $map\n\nreturn sorted($xs, key=sort_key)",
            "$out = list($xs)\n$out.sort(key=lambda $x: $map)\nreturn $out",
        ),
        ("Ties keep their original order.", "The original list is not changed."),
        by=True,
    ),
    Family(
        "sort by, descending", 2, "int>int str>int", _LIST, "list[$type]",
        "sort_by_${key_name}_descending largest_${key_name}_first rank_by_$key_name",
        (
            "Return the $many sorted by their $by, largest first. Ties keep their original order.",
            "Sort the $many by $by in descending order and return a new list; equal ones stay in their old order.",
        ),
        (
            "return sorted($xs, key=lambda $x: $map, reverse=True)",
            "$out = list($xs)\n$out.sort(key=lambda $x: $map, reverse=True)\nreturn $out",
            "def sort_key($x: $type) -> $to:\n    return $map\n\nreturn sorted($xs, key=sort_key, reverse=True)",
        ),
        by=True,
    ),
    Family(
        "extreme by", 2, "int>int str>int", _LIST, "$type | None",
        "${one_name}_with_smallest_$key_name find_smallest_by_$key_name pick_by_smallest_$key_name",
        (
            "Return the $one with the smallest $by. The first of several wins; an empty list gives None.",
            "Find the $one whose $by is smallest (the first one, if there are several). Return None for an empty list.",
        ),
        (
            "if not $xs:\n    return None\nreturn min($xs, key=lambda $x: $map)",
            "return min($xs, key=lambda $x: $map, default=None)",
            "$best = None\n$best_key = None\nfor $x in $xs:\n    value = $map\n"
            "    if $best_key is None or value < $best_key:\n        $best = $x\n        $best_key = value\n"
            "return $best",
        ),
        by=True,
    ),
    Family(
        "group by", 2, _ANY, _LIST, "dict[$to, list[$type]]",
        "group_by_$key_name ${xs}_by_$key_name collect_by_$key_name",
        (
            "Group the $many by their $by. The keys of the result are the groups, the values are lists of $many.",
            "Return a dictionary that maps every $by to the list of $many that have it.",
        ),
        (
            "$out = {}\nfor $x in $xs:\n    key = $map\n    if key not in $out:\n        $out[key] = []\n"
            "    $out[key].append($x)\nreturn $out",
            "$out: dict[$to, list[$type]] = {}\nfor $x in $xs:\n    $out.setdefault($map, []).append($x)\nreturn $out",
            "$out = {}\nfor $x in $xs:\n    key = $map\n    $out[key] = $out.get(key, []) + [$x]\nreturn $out",
        ),
        ("Within a group the order stays the same.", "An empty list gives an empty dictionary."),
        by=True,
    ),
    Family(
        "tally by", 2, _ANY, _LIST, "dict[$to, int]",
        "count_by_$key_name tally_by_$key_name ${key_name}_frequencies",
        (
            "Count how many $many there are for each $by, and return the counts as a dictionary.",
            "Return a dictionary that maps every $by to the number of $many that have it.",
        ),
        (
            "$out = {}\nfor $x in $xs:\n    key = $map\n    $out[key] = $out.get(key, 0) + 1\nreturn $out",
            "$out: dict[$to, int] = {}\nfor $x in $xs:\n    key = $map\n    if key in $out:\n        $out[key] += 1\n"
            "    else:\n        $out[key] = 1\nreturn $out",
            "keys = [$map for $x in $xs]\nreturn {key: keys.count(key) for key in keys}",
        ),
        ("An empty list gives an empty dictionary.",),
        by=True,
    ),
    Family(
        "unique by", 2, _ANY, _LIST, "list[$type]",
        "unique_by_$key_name distinct_by_$key_name first_of_each_$key_name",
        (
            "For each $by keep only the first $one that has it, and drop the later ones.",
            "Return the $many without those whose $by has already occurred earlier in the list.",
        ),
        (
            "seen = set()\n$out = []\nfor $x in $xs:\n    key = $map\n    if key not in seen:\n        seen.add(key)\n"
            "        $out.append($x)\nreturn $out",
            "first = {}\nfor $x in $xs:\n    first.setdefault($map, $x)\nreturn list(first.values())",
        ),
        by=True,
    ),
    Family(
        "different values", 2, _ANY, _LIST, "int",
        "count_different_${key_name}_values number_of_distinct_$key_name",
        (
            "Look at the $by of each $one and return how many different values occur.",
            "How many different values does the $by take over all $many? Return that number.",
        ),
        (
            "return len({$map for $x in $xs})",
            "seen = set()\nfor $x in $xs:\n    seen.add($map)\nreturn len(seen)",
            "seen = []\nfor $x in $xs:\n    value = $map\n    if value not in seen:\n"
            "        seen.append(value)\nreturn len(seen)",
        ),
        ("An empty list gives 0.",),
        by=True,
    ),
    Family(
        "dictionary of mapped", 1, _ANY, _LIST, "dict[$type, $to]",
        "map_to_${done}_$xs table_of_${done}_$xs lookup_of_${done}_$xs",
        (
            "Return a dictionary that maps each $one of the list to a value: $phrase.",
            "Build a dictionary. Its keys are the $many, and the value of a key is $phrase_it.",
        ),
        (
            "$out = {}\nfor $x in $xs:\n    $out[$x] = $map\nreturn $out",
            "return {$x: $map for $x in $xs}",
            "return dict(($x, $map) for $x in $xs)",
        ),
    ),
    Family(
        "map the values", 2, "int>int", ("$table: table",), "dict[str, int]",
        "${done}_values table_with_${done}_$xs update_to_${done}_$xs",
        (
            "`$table` maps names to $many. Return a new dictionary with $phrase in its place.",
            "Return a dictionary with the same keys; the value of each is $phrase_it, where the $one comes from "
            "`$table`.",
        ),
        (
            "$out = {}\nfor $key, $x in $table.items():\n    $out[$key] = $map\nreturn $out",
            "return {$key: $map for $key, $x in $table.items()}",
            "$out = {}\nfor $key in $table:\n    $x = $table[$key]\n    $out[$key] = $map\nreturn $out",
        ),
        ("The original dictionary is not changed.",),
    ),
    Family(
        "map a grid", 2, "int>int", ("$grid: grid",), "list[list[int]]",
        "grid_of_${done}_$xs ${done}_grid map_rows_to_${done}_$xs",
        (
            "Return a new grid of the same size that holds $phrase.",
            "The grid is a list of rows with $many. Replace each $one by $phrase_it and return the new grid.",
        ),
        (
            "$out = []\nfor $row in $grid:\n    new_row = []\n    for $x in $row:\n        new_row.append($map)\n"
            "    $out.append(new_row)\nreturn $out",
            "return [[$map for $x in $row] for $row in $grid]",
            "$out = []\nfor $row in $grid:\n    $out.append([$map for $x in $row])\nreturn $out",
        ),
    ),
    Family(
        "map the words", 2, "str>str", ("$text: sentence",), "str",
        "${done}_words_in_text change_to_${done}_words",
        (
            "Split the text into words at the spaces, put $phrase in its place, and join all with single spaces.",
            "Return the text with each word changed: in place of the word stands $phrase_it.",
        ),
        (
            "$out = []\nfor $x in $text.split():\n    $out.append($map)\nreturn \" \".join($out)",
            "return \" \".join($map for $x in $text.split())",
            "words = $text.split()\nreturn \" \".join([$map for $x in words])",
        ),
    ),
    Family(
        "same for neighbours", 3, _ANY, _LIST, "int",
        "count_neighbours_with_same_$key_name same_${key_name}_in_a_row",
        (
            "Count the neighbouring pairs in the list whose two $many have the same $by.",
            "How often does a $one have the same $by as the one before it? Return the number.",
        ),
        (
            "$count = 0\nprevious = None\nfor $x in $xs:\n    key = $map\n    if key == previous:\n"
            "        $count += 1\n"
            "    previous = key\nreturn $count",
            "keys = [$map for $x in $xs]\nreturn sum(1 for a, b in zip(keys, keys[1:]) if a == b)",
            "keys = [$map for $x in $xs]\n$count = 0\nfor $i in range(1, len(keys)):\n"
            "    if keys[$i] == keys[$i - 1]:\n        $count += 1\nreturn $count",
        ),
        by=True,
    ),
)  # fmt: skip
