"""Families of tasks that ask a predicate of the values of a list: filter, count, any, first match, runs and so on.

A family is a table row: what the function is called, how the task may be said, and how people solve it. Its
operations are the predicates (or mappings, in mappings.py) that it is crossed with.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Templates of a family; `kinds` are the kinds of values whose predicates or mappings it is crossed with."""

    name: str
    level: int
    kinds: str
    parameters: tuple[str, ...]
    returns: str
    names: str
    wordings: tuple[str, ...]
    solutions: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    by: bool = False  # whether the mapping must be one to sort or group by


_LIST = ("$xs: list",)
LIST_FAMILIES = (
    Family(
        "filter", 1, "int str", _LIST, "list[$type]",
        "keep_$tagged filter_$tagged select_$tagged get_$tagged $tagged find_$tagged only_$tagged collect_$tagged",
        (
            "Return a list of the $group, in their original order.",
            "Keep only the $group and return them as a new list.",
            "Given a list of $many, return those that $are.",
            "Filter `$xs` so that only the $group remain.",
            "Go through `$xs` and collect every $one that $is.",
            "Select from the list all $group.",
            "From a list of $many, build a new list with every $one that $is.",
        ),
        (
            "$out = []\nfor $x in $xs:\n    if $test:\n        $out.append($x)\nreturn $out",
            "return [$x for $x in $xs if $test]",
            "$out = []\nfor $x in $xs:\n    if $no:\n        continue\n    $out.append($x)\nreturn $out",
            "return list(filter(lambda $x: $test, $xs))",
            "$out = [$x for $x in $xs if $test]\nreturn $out",
            "def $check($x: $type) -> bool:\n    return $test\n\nreturn [$x for $x in $xs if $check($x)]",
            "$out: list[$type] = []\nfor $i in range(len($xs)):\n    $x = $xs[$i]\n    if $test:\n"
            "        $out.append($x)\nreturn $out",
        ),
        ("The original list is not changed.", "An empty list gives an empty list.", "The order stays the same."),
    ),
    Family(
        "remove", 1, "int str", _LIST, "list[$type]",
        "remove_$tagged drop_$tagged without_$tagged exclude_$tagged discard_$tagged",
        (
            "Remove all $group and return the rest.",
            "Return a new list without the $group.",
            "Drop every $one that $is, and return the $many that are left.",
            "Given a list of $many, leave out those that $are.",
        ),
        (
            "$out = []\nfor $x in $xs:\n    if $no:\n        $out.append($x)\nreturn $out",
            "return [$x for $x in $xs if $no]",
            "$out = []\nfor $x in $xs:\n    if $test:\n        continue\n    $out.append($x)\nreturn $out",
            "$out = list($xs)\nfor $x in $xs:\n    if $test:\n        $out.remove($x)\nreturn $out",
        ),
        ("The remaining $many keep their order.", "The list that is passed in is not changed."),
    ),
    Family(
        "count", 1, "int str", _LIST, "int",
        "count_$tagged number_of_$tagged how_many_$tagged num_$tagged",
        (
            "Count the $group in the list.",
            "Return how many $many in `$xs` $are.",
            "Return the number of $group.",
            "Given a list of $many, count those that $are.",
            "How many of the $many $are? Return the number.",
        ),
        (
            "$count = 0\nfor $x in $xs:\n    if $test:\n        $count += 1\nreturn $count",
            "return sum(1 for $x in $xs if $test)",
            "return len([$x for $x in $xs if $test])",
            "$out = [$x for $x in $xs if $test]\nreturn len($out)",
            "$count = 0\n$i = 0\nwhile $i < len($xs):\n    $x = $xs[$i]\n    if $test:\n        $count += 1\n"
            "    $i += 1\nreturn $count",
        ),
        ("An empty list gives 0.", "A $one that occurs twice counts twice."),
    ),
    Family(
        "any", 1, "int str", _LIST, "bool",
        "has_$tagged any_$tagged contains_$tagged includes_$tagged",
        (
            "Check whether at least one of the $many $is.",
            "Return True if any $one in the list $is, and False otherwise.",
            "Tell whether `$xs` has a $one that $is.",
        ),
        (
            "for $x in $xs:\n    if $test:\n        return True\nreturn False",
            "return any($test for $x in $xs)",
            "$found = False\nfor $x in $xs:\n    if $test:\n        $found = True\n        break\nreturn $found",
            "return len([$x for $x in $xs if $test]) > 0",
        ),
        ("For an empty list the answer is False.",),
    ),
    Family(
        "all", 1, "int str", _LIST, "bool",
        "all_$tagged only_$tagged are_all_$tagged every_$tagged",
        (
            "Check whether all $many $are.",
            "Return True if every $one in the list $is, and False otherwise.",
            "Tell whether `$xs` holds nothing but $many that $are.",
        ),
        (
            "for $x in $xs:\n    if $no:\n        return False\nreturn True",
            "return all($test for $x in $xs)",
            "return not any($no for $x in $xs)",
            "$out = [$x for $x in $xs if $no]\nreturn len($out) == 0",
            "$count = sum(1 for $x in $xs if $test)\nreturn $count == len($xs)",
        ),
        ("For an empty list the answer is True.",),
    ),
    Family(
        "first match", 1, "int str", _LIST, "$type | None",
        "first_$tagged find_first_$tagged get_first_$tagged first_of_$tagged",
        (
            "Return the first $one that $is, or None if there is none.",
            "Find the first $one in the list that $is. If there is no such $one, return None.",
            "Look through `$xs` from the start and return the first $one that $is (None if there is none).",
        ),
        (
            "for $x in $xs:\n    if $test:\n        return $x\nreturn None",
            "return next(($x for $x in $xs if $test), None)",
            "$out = [$x for $x in $xs if $test]\nreturn $out[0] if $out else None",
            "$out = [$x for $x in $xs if $test]\nif not $out:\n    return None\nreturn $out[0]",
        ),
    ),
    Family(
        "last match", 2, "int str", _LIST, "$type | None",
        "last_$tagged find_last_$tagged get_last_$tagged final_$tagged",
        (
            "Return the last $one that $is, or None if there is none.",
            "Find the last $one in the list that $is. If there is no such $one, return None.",
            "Of all $many that $are, return the one nearest to the end of the list, or None if there is none.",
        ),
        (
            "$out = None\nfor $x in $xs:\n    if $test:\n        $out = $x\nreturn $out",
            "for $x in reversed($xs):\n    if $test:\n        return $x\nreturn None",
            "for $i in range(len($xs) - 1, -1, -1):\n    $x = $xs[$i]\n    if $test:\n        return $x\nreturn None",
            "$out = [$x for $x in $xs if $test]\nreturn $out[-1] if $out else None",
        ),
    ),
    Family(
        "index of first match", 2, "int str", _LIST, "int",
        "index_of_first_$tagged position_of_first_$tagged find_index_of_$tagged where_first_$tagged",
        (
            "Return the index of the first $one that $is, or -1 if there is none.",
            "Find the position (counted from 0) of the first $one that $is. Return -1 when there is no such $one.",
            "At which index does the first $one stand that $is? If there is none, the answer is -1.",
        ),
        (
            "for $i, $x in enumerate($xs):\n    if $test:\n        return $i\nreturn -1",
            "for $i in range(len($xs)):\n    $x = $xs[$i]\n    if $test:\n        return $i\nreturn -1",
            "return next(($i for $i, $x in enumerate($xs) if $test), -1)",
            "$i = 0\nfor $x in $xs:\n    if $test:\n        return $i\n    $i += 1\nreturn -1",
        ),
    ),
    Family(
        "positions", 2, "int str", _LIST, "list[int]",
        "positions_of_$tagged indices_of_$tagged where_$tagged find_${tagged}_positions",
        (
            "Return the indices of all $group.",
            "At which positions (counted from 0) are there $many that $are? Return a list of the indices.",
            "List the index of every $one that $is, in ascending order.",
        ),
        (
            "$out = []\nfor $i, $x in enumerate($xs):\n    if $test:\n        $out.append($i)\nreturn $out",
            "return [$i for $i, $x in enumerate($xs) if $test]",
            "$out = []\nfor $i in range(len($xs)):\n    $x = $xs[$i]\n    if $test:\n        $out.append($i)\n"
            "return $out",
        ),
        ("An empty list has no such positions.",),
    ),
    Family(
        "partition", 2, "int str", _LIST, "tuple[list[$type], list[$type]]",
        "split_by_$tagged partition_$tagged separate_$tagged divide_$tagged",
        (
            "Split the $many into two lists: those that $are, and all others.",
            "Return two lists, the first with the $group and the second with the rest.",
            "Separate the $group from the other $many and return both lists as a tuple.",
        ),
        (
            "$yes = []\n$rest = []\nfor $x in $xs:\n    if $test:\n        $yes.append($x)\n    else:\n"
            "        $rest.append($x)\nreturn $yes, $rest",
            "$yes = [$x for $x in $xs if $test]\n$rest = [$x for $x in $xs if $no]\nreturn $yes, $rest",
            "$yes: list[$type] = []\n$rest: list[$type] = []\nfor $x in $xs:\n"
            "    target_list = $yes if $test else $rest\n    target_list.append($x)\nreturn $yes, $rest",
            "return [$x for $x in $xs if $test], [$x for $x in $xs if $no]",
        ),
        ("Both lists keep the original order.",),
    ),
    Family(
        "take while", 2, "int str", _LIST, "list[$type]",
        "leading_$tagged take_while_$tagged prefix_of_$tagged start_of_$tagged",
        (
            "Return the $many from the start of the list up to, but not including, the first one that does not match: "
            "only $many that $are belong to the result.",
            "Take $many from the beginning as long as they $are, and stop at the first one that does not fit.",
            "Collect the leading $many that $are. Stop as soon as a $one breaks the rule.",
        ),
        (
            "$out = []\nfor $x in $xs:\n    if $no:\n        break\n    $out.append($x)\nreturn $out",
            "$out = []\nfor $x in $xs:\n    if $test:\n        $out.append($x)\n    else:\n        break\nreturn $out",
            "for $i, $x in enumerate($xs):\n    if $no:\n        return $xs[:$i]\nreturn $xs[:]",
        ),
    ),
    Family(
        "skip while", 2, "int str", _LIST, "list[$type]",
        "skip_leading_$tagged drop_while_$tagged after_leading_$tagged",
        (
            "Skip the $many at the start of the list that $are, and return everything from the first other $one on.",
            "Leave out the leading $group. From the first $one that does not match, keep the whole rest.",
        ),
        (
            "for $i, $x in enumerate($xs):\n    if $no:\n        return $xs[$i:]\nreturn []",
            "$out = []\nskipping = True\nfor $x in $xs:\n    if skipping and $test_inner:\n        continue\n"
            "    skipping = False\n    $out.append($x)\nreturn $out",
        ),
    ),
    Family(
        "longest run", 3, "int str", _LIST, "int",
        "longest_run_of_$tagged longest_streak_of_$tagged most_in_a_row_$tagged",
        (
            "Return the length of the longest run of neighbouring $many that $are.",
            "How many $many in a row $are at most? Return the length of the longest such streak.",
        ),
        (
            "longest = 0\n$count = 0\nfor $x in $xs:\n    if $test:\n        $count += 1\n"
            "        longest = max(longest, $count)\n    else:\n        $count = 0\nreturn longest",
            "longest = $count = 0\nfor $x in $xs:\n    $count = $count + 1 if $test_inner else 0\n"
            "    if $count > longest:\n        longest = $count\nreturn longest",
        ),
        ("If no $one matches, the answer is 0.",),
    ),
    Family(
        "sum of matching", 1, "int", _LIST, "int",
        "sum_of_$tagged total_of_$tagged add_$tagged sum_$tagged",
        (
            "Add up the $group and return the sum.",
            "Return the sum of all $many that $are.",
            "Compute the total of the $group in the list.",
        ),
        (
            "$total = 0\nfor $x in $xs:\n    if $test:\n        $total += $x\nreturn $total",
            "return sum($x for $x in $xs if $test)",
            "$out = [$x for $x in $xs if $test]\nreturn sum($out)",
            "$total = 0\nfor $x in $xs:\n    if $no:\n        continue\n    $total = $total + $x\nreturn $total",
        ),
        ("If there is none, the sum is 0.",),
    ),
    Family(
        "average of matching", 2, "int", _LIST, "float",
        "average_of_$tagged mean_of_$tagged average_$tagged",
        (
            "Return the average of the $group, or 0.0 if there are none.",
            "Compute the mean of all $many that $are. Without any such $one, the result is 0.0.",
        ),
        (
            "$out = [$x for $x in $xs if $test]\nif not $out:\n    return 0.0\nreturn sum($out) / len($out)",
            "$total = 0\n$count = 0\nfor $x in $xs:\n    if $test:\n        $total += $x\n        $count += 1\n"
            "return $total / $count if $count else 0.0",
            "$out = [$x for $x in $xs if $test]\nreturn sum($out) / len($out) if $out else 0.0",
        ),
    ),
    Family(
        "largest matching", 2, "int", _LIST, "int | None",
        "largest_of_$tagged max_of_$tagged highest_of_$tagged biggest_of_$tagged",
        (
            "Return the largest $one that $is, or None if there is none.",
            "Find the highest of all $many that $are. If there is no such $one, return None.",
        ),
        (
            "$best = None\nfor $x in $xs:\n    if $test_inner and ($best is None or $x > $best):\n        $best = $x\n"
            "return $best",
            "$out = [$x for $x in $xs if $test]\nreturn max($out) if $out else None",
            "return max(($x for $x in $xs if $test), default=None)",
            "$out = [$x for $x in $xs if $test]\nif len($out) == 0:\n    return None\nreturn max($out)",
        ),
    ),
    Family(
        "longest matching", 2, "str", _LIST, "str",
        "longest_of_$tagged find_longest_of_$tagged",
        (
            "Return the longest $one that $is. With several of the same length take the first; if there is none, "
            "return an empty string.",
            "Of all $many that $are, return the longest one (the first of several). Return \"\" if there is none.",
        ),
        (
            '$best = ""\nfor $x in $xs:\n    if $test_inner and len($x) > len($best):\n        $best = $x\n'
            'return $best',
            '$out = [$x for $x in $xs if $test]\nreturn max($out, key=len) if $out else ""',
            'return max(($x for $x in $xs if $test), key=len, default="")',
        ),
    ),
    Family(
        "replace", 2, "int", ("$xs: list", "replacement|new_value|substitute: small"), "list[int]",
        "replace_$tagged overwrite_$tagged substitute_$tagged",
        (
            "Replace every $one that $is by `$replacement` and leave the others as they are.",
            "Return a new list in which `$replacement` stands in place of the $group.",
        ),
        (
            "$out = []\nfor $x in $xs:\n    if $test:\n        $out.append($replacement)\n    else:\n"
            "        $out.append($x)\nreturn $out",
            "return [$replacement if $test else $x for $x in $xs]",
            "$out = list($xs)\nfor $i, $x in enumerate($out):\n    if $test:\n        $out[$i] = $replacement\n"
            "return $out",
        ),
        ("The original list is not changed.",),
    ),
    Family(
        "running count", 2, "int str", _LIST, "list[int]",
        "running_count_of_$tagged counts_so_far_of_$tagged cumulative_count_of_$tagged",
        (
            "For every position, return how many $many up to and including it $are.",
            "Return a list that tells, after each $one, how many $group there were so far.",
        ),
        (
            "$out = []\n$count = 0\nfor $x in $xs:\n    if $test:\n        $count += 1\n"
            "    $out.append($count)\nreturn $out",
            "$count = 0\n$out = []\nfor $x in $xs:\n    $count += 1 if $test else 0\n    $out.append($count)\n"
            "return $out",
        ),
    ),
    Family(
        "recursive count", 3, "int str", _LIST, "int",
        "count_${tagged}_recursively recursive_count_of_$tagged",
        (
            "Count the $group with recursion instead of a loop.",
            "Return how many $many $are. The function calls itself on the rest of the list.",
        ),
        (
            "if not $xs:\n    return 0\n$x = $xs[0]\n$count = 1 if $test else 0\nreturn $count + $f($xs[1:]$arguments)",
            "if len($xs) == 0:\n    return 0\n$x, *$rest = $xs\nif $test:\n    return 1 + $f($rest$arguments)\n"
            "return $f($rest$arguments)",
        ),
        ("The count for an empty list is 0.",),
    ),
)  # fmt: skip
