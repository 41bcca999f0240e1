"""The language of a file: by its name, then by its content."""

import pytest

from hornbook.corpus.languages import LANGUAGES, language_called, language_of


@pytest.mark.parametrize(
    "path, text, language",
    [
        ("a/main.rs", "fn main() {}", "Rust"),
        ("x.PY", "", "Python"),
        ("Makefile", "all:\n", "Makefile"),
        ("app/Dockerfile", "FROM x", "Dockerfile"),
        ("CMakeLists.txt", "project(x)", "CMake"),
        ("stack.h", "#include <stdio.h>\nstruct s { int a; };\n", "C"),
        ("stack.h", "#pragma once\nnamespace a {\nclass B {};\n}\n", "C++"),
        ("view.h", "#import <UIKit/UIKit.h>\n@interface V : UIView\n@end\n", "Objective-C"),
        ("view.m", "@implementation V\n@end\n", "Objective-C"),
        ("solve.m", "function x = solve(a)\n% comment\nx = a;\nend\n", "MATLAB"),
        ("family.pl", "parent(tom, bob).\ngrand(X, Y) :- parent(X, Z), parent(Z, Y).\n", "Prolog"),
        ("run.pl", "use strict;\nmy $x = 1;\n", "Perl"),
        ("proof.v", "Theorem plus : 1 = 1.\nProof. reflexivity. Qed.\n", "Coq"),
        ("adder.v", "module adder(input a);\nendmodule\n", "Verilog"),
        ("a.ts", "export const x: number = 1", "TypeScript"),
        ("a.ts", '<?xml version="1.0"?><TS/>', None),
        ("configure", "#!/bin/sh\necho\n", "Shell"),
        ("tool", "#!/usr/bin/env python3\nprint()\n", "Python"),
        ("tool", "#!/usr/bin/env -S node --x\n", "JavaScript"),
        ("LICENSE", "MIT\n", None),
        (".gitignore", "*.pyc\n", None),
        ("data.csv", "1,2\n", None),
    ],
)
def test_the_name_decides_and_then_the_content(path, text, language):
    assert language_of(path, text) == language


def test_languages_are_known_by_the_names_people_use():
    assert [language_called(name) for name in ("python", "C++", "cpp", "js", "objective-c", "en")] == [
        "Python",
        "C++",
        "C++",
        "JavaScript",
        "Objective-C",
        None,
    ]
    assert all(language_called(name.upper()) == name for name in LANGUAGES)
