"""Tasks of the first lessons: branching, sums and loops, slices, sets, recursion on numbers."""

from hornbook.synthesis.exercises.single_texts import Single, task


def _branching() -> list[Single]:
    """Values that fall into bands with a label each."""
    bands = (
        ("weather", "temperature|degrees|reading: number", "weather_word describe_temperature feels_like",
         "temperature", (("freezing", "below 0"), ("cold", "below 15"), ("warm", "15 or more")), (0, 15)),
        ("age group", "age|years|person_age: natural2", "age_group ticket_class life_stage",
         "age", (("child", "below 12"), ("teenager", "below 20"), ("adult", "20 or more")), (12, 20)),
        ("parcel", "weight|kilos|load: natural2", "parcel_class parcel_size rate_parcel",
         "weight", (("light", "below 5"), ("medium", "below 25"), ("heavy", "25 or more")), (5, 25)),
        ("speed", "speed|pace|velocity: natural2", "pace_word describe_speed rate_speed",
         "speed", (("slow", "below 10"), ("normal", "below 40"), ("fast", "40 or more")), (10, 40)),
        ("battery", "charge|level|percent: natural2", "battery_state charge_word show_battery",
         "charge", (("empty", "below 1"), ("low", "below 20"), ("fine", "20 or more")), (1, 20)),
        ("mark", "points|score|result: natural2", "grade result_word judge",
         "score", (("failed", "below 25"), ("passed", "below 45"), ("excellent", "45 or more")), (25, 45)),
    )  # fmt: skip
    tasks = []
    for key, parameter, names, noun, ((first, a), (second, b), (third, c)), (low, high) in bands:
        v = "$" + parameter.split("|")[0]
        tasks.append(
            task(
                "bands",
                key,
                1,
                parameter,
                "str",
                names,
                (
                    f'Return "{first}" for a {noun} {a}, "{second}" for one {b}, and "{third}" for {c}.',
                    f'Describe a {noun} by a word: {a} is "{first}", otherwise {b} is "{second}", and {c} is '
                    f'"{third}".',
                ),
                (
                    f'if {v} < {low}:\n    return "{first}"\nif {v} < {high}:\n    return "{second}"\nreturn "{third}"',
                    f'if {v} < {low}:\n    $out = "{first}"\nelif {v} < {high}:\n    $out = "{second}"\nelse:\n'
                    f'    $out = "{third}"\nreturn $out',
                    f'if {v} >= {high}:\n    return "{third}"\nif {v} >= {low}:\n    return "{second}"\n'
                    f'return "{first}"',
                ),
                kind="int",
            )
        )
    return tasks  # fmt: skip


def _formulas() -> list[Single]:
    """One or two steps of arithmetic: key, parameters, names, wordings, solutions, type."""
    rows = (
        ("clamp", "value|number|x: number, low|lowest|bottom: low, high|highest|top: high",
        "clamp limit_to_range keep_inside",
         ("Return the value, but not less than `$low` and not more than `$high`.",
          "Limit `$value` to the range from `$low` to `$high`."),
         ("return max($low, min($high, $value))",
          "if $value < $low:\n    return $low\nif $value > $high:\n    return $high\nreturn $value"), "int"),
        ("hours and minutes", "minutes|duration|total: natural3", "hours_and_minutes split_minutes format_duration",
         ("Convert minutes to a string such as \"2h 5m\".", "Write a number of minutes as hours and minutes: "
         "\"2h 5m\"."),
         ('hours = $minutes // 60\nrest = $minutes % 60\nreturn f"{hours}h {rest}m"',
          'hours, rest = divmod($minutes, 60)\nreturn f"{hours}h {rest}m"'), "str"),
        ("boxes needed", "items|bottles|books: natural3, per_box|box_size|capacity: divisor",
        "boxes_needed count_boxes how_many_boxes",
         ("How many boxes are needed for `$items` things if a box holds `$per_box`?",
          "Return the number of boxes that hold `$items` things, `$per_box` in each; the last one may be partly "
          "filled."),
         ("return ($items + $per_box - 1) // $per_box",
          "boxes = $items // $per_box\nif $items % $per_box > 0:\n    boxes += 1\nreturn boxes",
          "boxes = 0\nwhile boxes * $per_box < $items:\n    boxes += 1\nreturn boxes"), "int"),
        ("discount from three", "price|cost|unit_price: natural2, amount|count|quantity: small",
        "price_with_discount total_price order_price",
         ("Return the price of `$amount` pieces. From 3 pieces on, 5 is taken off the total.",
          "Compute `$price` times `$amount`, and subtract 5 if at least 3 pieces are bought."),
         ("$total = $price * $amount\nif $amount >= 3:\n    $total -= 5\nreturn $total",
          "if $amount < 3:\n    return $price * $amount\nreturn $price * $amount - 5"), "int"),
        ("delivery fee", "total|order|amount: natural2", "with_delivery total_with_fee final_price",
         ("Orders below 30 cost 4 more for delivery; larger ones are delivered free. Return what has to be paid.",
          "Add a delivery fee of 4 to an order below 30 and return the amount; from 30 on nothing is added."),
         ("if $total < 30:\n    return $total + 4\nreturn $total",
         "fee = 4 if $total < 30 else 0\nreturn $total + fee"),
         "int"),
        ("perimeter", "width|length|a: natural2, height|depth|b: small", "perimeter fence_length outline",
         ("Return the perimeter of a rectangle.", "How long is a fence around a rectangle of the given sides?"),
         ("return 2 * ($width + $height)", "return 2 * $width + 2 * $height"), "int"),
        ("sign", "value|number|x: number", "sign sign_of direction",
         ("Return -1 for a negative number, 0 for zero and 1 for a positive number.",
          "Return the sign of a number as -1, 0 or 1."),
         ("if $value < 0:\n    return -1\nif $value > 0:\n    return 1\nreturn 0",
          "if $value == 0:\n    return 0\nreturn 1 if $value > 0 else -1"), "int"),
        ("nearer", "first|left|a: number, second|right|b: number, target|goal|point: number",
        "nearer_to closest_of_two pick_nearer",
         ("Return whichever of the two numbers is nearer to `$target`; the first one if both are equally near.",
          "Which of `$first` and `$second` is closer to `$target`? With equal distances return `$first`."),
         ("if abs($second - $target) < abs($first - $target):\n    return $second\nreturn $first",
          "return min($first, $second, key=lambda value: abs(value - $target))"), "int"),
        ("middle of three", "first|left|a: number, second|middle|b: number, third|right|c: number",
        "middle_of_three median_of_three",
         ("Return the middle one of three numbers.", "Order the three numbers by size and return the one in between."),
         ("return sorted([$first, $second, $third])[1]",
          "return $first + $second + $third - max($first, $second, $third) - min($first, $second, $third)"), "int"),
    )  # fmt: skip
    return [
        task("formulas", key, 1, parameters, returns, names, wordings, solutions, kind="int")
        for key, parameters, names, wordings, solutions, returns in rows
    ]


def _loops() -> list[Single]:
    rows = (
        ("doublings", "start|amount|size: small, goal|limit|target: natural2",
        "doublings_until count_doublings steps_to_reach", "int",
         ("How often must `$start` be doubled until it is at least `$goal`?",
          "Double `$start` again and again and count the steps until it reaches `$goal` or more."),
         ("$count = 0\nwhile $start < $goal:\n    $start *= 2\n    $count += 1\nreturn $count",
          "$count = 0\nvalue = $start\nwhile value < $goal:\n    value = value * 2\n    $count += 1\nreturn $count")),
        ("halvings", "number|n|amount: natural", "count_halvings halve_until_zero halving_steps", "int",
         ("Count how often the number can be halved, rounding down, until it is 0.",
          "Halve `$number` (rounding down) until nothing is left, and return the number of steps."),
         ("$count = 0\nwhile $number > 0:\n    $number //= 2\n    $count += 1\nreturn $count",
         "return $number.bit_length()")),
        ("saving", "goal|target|price: natural2, weekly|saving|rate: small", "weeks_to_save weeks_until save_up", "int",
         ("After how many weeks does someone who saves `$weekly` a week have at least `$goal`?",
          "Return the number of weeks needed to save `$goal` when `$weekly` is put aside each week."),
         ("weeks = 0\nsaved = 0\nwhile saved < $goal:\n    saved += $weekly\n    weeks += 1\nreturn weeks",
          "return -(-$goal // $weekly)")),
        ("countdown", "start|n|first: small", "countdown count_down launch_sequence", "list[str]",
         ("Return the numbers from `$start` down to 1 as strings, followed by \"go\".",
          "Count down from `$start` to 1 in a list of strings that ends with \"go\"."),
         ('$out = []\nfor $i in range($start, 0, -1):\n    $out.append(str($i))\n$out.append("go")\nreturn $out',
          'return [str($i) for $i in range($start, 0, -1)] + ["go"]')),
        ("multiples", "number|base|step: divisor, count|amount|n: small", "first_multiples multiples_of times_table",
        "list[int]",
         ("Return the first `$count` multiples of `$number`, beginning with the number itself.",
          "List `$number` times 1, times 2 and so on, `$count` values in all."),
         ("return [$number * $i for $i in range(1, $count + 1)]",
          "$out = []\nfor $i in range(1, $count + 1):\n    $out.append($number * $i)\nreturn $out")),
        ("sum until negative", "values|numbers|entries: list", "sum_until_negative add_before_negative", "int",
         ("Add the values from the start and stop before the first negative one.",
          "Return the sum of the values that come before the first negative value."),
         ("$total = 0\nfor value in $values:\n    if value < 0:\n        break\n    $total += value\nreturn $total",
          "$total = 0\n$i = 0\nwhile $i < len($values) and $values[$i] >= 0:\n    $total += $values[$i]\n    $i += 1\n"
          "return $total")),
        ("when a sum is reached", "values|numbers|amounts: list, goal|limit|target: natural2",
        "position_where_reached steps_to_goal", "int",
         ("Add the values one after another. Return how many are needed to reach `$goal`, or -1 if the sum never does.",
          "After how many values is the running total at least `$goal`? If that never happens, return -1."),
         ("$total = 0\nfor $i, value in enumerate($values, 1):\n    $total += value\n    if $total >= $goal:\n"
          "        return $i\nreturn -1",
          "$total = 0\n$count = 0\nfor value in $values:\n    $total += value\n    $count += 1\n"
          "    if $total >= $goal:\n"
          "        return $count\nreturn -1")),
    )  # fmt: skip
    return [
        task("loops", key, 2, parameters, returns, names, wordings, solutions, kind="int")
        for key, parameters, names, returns, wordings, solutions in rows
    ]


def _slices() -> list[Single]:
    rows = (
        ("every second", "", "every_second skip_every_other alternate", "list[$type]",
         "Return every second $one, beginning with the first.",
         ("return $xs[::2]", "return [$x for $i, $x in enumerate($xs) if $i % 2 == 0]",
          "$out = []\nfor $i in range(0, len($xs), 2):\n    $out.append($xs[$i])\nreturn $out")),
        ("last few", ", amount|n|count: small", "last_few newest take_last", "list[$type]",
         "Return the last `$amount` $many, or all of them if there are fewer.",
         ("return $xs[-$amount:]", "start = max(0, len($xs) - $amount)\nreturn $xs[start:]")),
        ("without the ends", "", "without_ends inner trim_ends", "list[$type]",
         "Leave out the first and the last $one and return the rest.",
         ("return $xs[1:-1]", "$out = []\nfor $i in range(1, len($xs) - 1):\n    $out.append($xs[$i])\nreturn $out")),
        ("rotate", ", steps|n|shift: index", "rotate shift_left turn", "list[$type]",
         "Move the first $one to the end, `$steps` times, and return the new list.",
         ("$out = list($xs)\nfor _ in range($steps):\n    if $out:\n        $out.append($out.pop(0))\nreturn $out",
          "if not $xs:\n    return []\n$i = $steps % len($xs)\nreturn $xs[$i:] + $xs[:$i]")),
        ("chunks", ", size|n|length: small", "chunks split_into_groups batches", "list[list[$type]]",
         "Cut the list into pieces of `$size` $many; the last piece may be shorter.",
         ("return [$xs[$i : $i + $size] for $i in range(0, len($xs), $size)]",
          "$out = []\nfor $i in range(0, len($xs), $size):\n    $out.append($xs[$i : $i + $size])\nreturn $out")),
        ("swap halves", "", "swap_halves exchange_halves", "list[$type]",
         "Return the second half of the list followed by the first half. If the length is odd, the middle $one belongs "
         "to the second half.",
         ("middle = len($xs) // 2\nreturn $xs[middle:] + $xs[:middle]",
          "first = $xs[: len($xs) // 2]\nsecond = $xs[len($xs) // 2 :]\nreturn second + first")),
        ("insert between", ", separator|filler|extra: item", "insert_between spread separate", "list[$type]",
         "Put `$separator` between every two neighbouring $many and return the new list.",
         ("$out = []\nfor $i, $x in enumerate($xs):\n    if $i > 0:\n        $out.append($separator)\n"
          "    $out.append($x)\nreturn $out",
          "$out = []\nfor $x in $xs:\n    $out += [$x, $separator]\nreturn $out[:-1]")),
        ("move to the front", ", chosen|wanted|first: item", "move_to_front put_first prefer", "list[$type]",
         "Return the $many with all that are equal to `$chosen` moved to the front; the others keep their order.",
         ("front = [$x for $x in $xs if $x == $chosen]\nrest = [$x for $x in $xs if $x != $chosen]\n"
         "return front + rest",
          "return sorted($xs, key=lambda $x: $x != $chosen)")),
        ("palindromic list", "", "reads_same_backwards is_mirrored is_symmetric", "bool",
         "Check whether the list of $many is the same when it is read from the end.",
         ("return $xs == $xs[::-1]",
          "for $i in range(len($xs) // 2):\n    if $xs[$i] != $xs[-1 - $i]:\n        return False\nreturn True")),
        ("interleave", ", others|second|more: list2", "interleave alternate_lists shuffle_together", "list[$type]",
         "Both lists have the same length. Return one list that takes values from them in turn, `$xs` first.",
         ("$out = []\nfor a, b in zip($xs, $others):\n    $out.append(a)\n    $out.append(b)\nreturn $out",
          "return [$x for pair in zip($xs, $others) for $x in pair]")),
    )  # fmt: skip
    sets = (
        ("common", "in_both common shared", "list[$type]",
         "Return the different $many that occur in both lists, in ascending order.",
         ("return sorted(set($xs) & set($others))",
          "$out = []\nfor $x in $xs:\n    if $x in $others and $x not in $out:\n        $out.append($x)\n"
          "return sorted($out)")),
        ("only in the first", "only_in_first missing_in_second", "list[$type]",
         "Return the different $many of `$xs` that are not in `$others`, in ascending order.",
         ("return sorted(set($xs) - set($others))", "return sorted({$x for $x in $xs if $x not in $others})")),
        ("in exactly one", "in_exactly_one not_shared", "list[$type]",
         "Return the different $many that are in one of the two lists but not in both, in ascending order.",
         ("return sorted(set($xs) ^ set($others))",
          "both = set($xs) & set($others)\nreturn sorted($x for $x in set($xs) | set($others) if $x not in both)")),
        ("union size", "count_all_different union_size", "int",
         "How many different $many are there in the two lists together?",
         ("return len(set($xs) | set($others))", "return len(set($xs + $others))")),
        ("contained", "is_covered contains_every all_included", "bool",
         "Check whether every $one in `$xs` also occurs in `$others`.",
         ("return set($xs) <= set($others)", "return all($x in $others for $x in $xs)",
          "for $x in $xs:\n    if $x not in $others:\n        return False\nreturn True")),
    )  # fmt: skip
    tasks = []
    for kind in ("int", "str"):
        for key, extra, names, returns, wording, solutions in rows:
            tasks.append(task("list order", key, 1, "$xs: list" + extra, returns,
                               " ".join(f"{name}_$xs" for name in names.split()) + " " + names,
                               (wording, "Given a list of $many: " + wording[0].lower() + wording[1:]), solutions,
                               kind=kind))  # fmt: skip
        for key, names, returns, wording, solutions in sets:
            tasks.append(task("sets", key, 2, "$xs: list, others|second|more: list2", returns,
                               " ".join(f"{name}_$xs" for name in names.split()) + " " + names,
                               (wording, "Compare two lists. " + wording), solutions, kind=kind))  # fmt: skip
    return tasks


def _recursion() -> list[Single]:
    rows = (
        ("sum of a list", "values|numbers|entries: list", "sum_recursively add_all recursive_sum", "int",
         "Add up all values with recursion instead of a loop.",
         ("if not $values:\n    return 0\nreturn $values[0] + $f($values[1:])",
          "if len($values) == 0:\n    return 0\nfirst, *rest = $values\nreturn first + $f(rest)")),
        ("largest of a list", "values|numbers|entries: filled", "largest_recursively recursive_max", "int",
         "Find the largest value of a list with recursion. The list has at least one value.",
         ("if len($values) == 1:\n    return $values[0]\nlargest_of_rest = $f($values[1:])\n"
          "return max($values[0], largest_of_rest)",
          "if len($values) == 1:\n    return $values[0]\nrest = $f($values[1:])\n"
          "return $values[0] if $values[0] > rest else rest")),
        ("triangle", "n|rows|height: small", "stack_size triangle_recursively balls_in_stack", "int",
         "A stack of balls has `$n` balls in its lowest row and one less in each row above. Count them with recursion.",
         ("if $n == 0:\n    return 0\nreturn $n + $f($n - 1)", "return 0 if $n == 0 else $n + $f($n - 1)")),
        ("power", "base|number|x: divisor, exponent|power|n: small", "power_recursively raise_to", "int",
         "Compute `$base` to the power of `$exponent` by recursion, without the operator `**`.",
         ("if $exponent == 0:\n    return 1\nreturn $base * $f($base, $exponent - 1)",
          "if $exponent == 1:\n    return $base\nreturn $base * $f($base, $exponent - 1)")),
        ("number of digits", "number|n|value: natural", "count_digits_recursively digit_length", "int",
         "Count the decimal digits of a whole number, which is not negative, with recursion.",
         ("if $number < 10:\n    return 1\nreturn 1 + $f($number // 10)",
          "return 1 if $number < 10 else $f($number // 10) + 1")),
        ("countdown", "start|n|first: small", "countdown_recursively list_down", "list[int]",
         "Return the numbers from `$start` down to 0, using recursion.",
         ("if $start == 0:\n    return [0]\nreturn [$start] + $f($start - 1)",
          "if $start < 0:\n    return []\nreturn [$start, *$f($start - 1)]")),
        ("membership", "values|numbers|entries: list, wanted|target|goal: item", "contains_recursively is_in", "bool",
         "Check with recursion whether `$wanted` is in the list.",
         ("if not $values:\n    return False\nif $values[0] == $wanted:\n    return True\n"
         "return $f($values[1:], $wanted)",
          "if not $values:\n    return False\nreturn $values[0] == $wanted or $f($values[1:], $wanted)")),
        ("halving", "n|size|length: natural2", "cuts_needed halvings_recursive", "int",
         "A rope is halved (rounding down) until its length is 1 or 0. Return the number of cuts, using recursion.",
         ("if $n <= 1:\n    return 0\nreturn 1 + $f($n // 2)", "return 0 if $n <= 1 else 1 + $f($n // 2)")),
    )  # fmt: skip
    return [
        task("recursion on numbers", key, 3, parameters, returns, names, (wording,), solutions, kind="int")
        for key, parameters, names, returns, wording, solutions in rows
    ]


BASIC_TASKS: tuple[Single, ...] = (*_branching(), *_formulas(), *_loops(), *_slices(), *_recursion())
