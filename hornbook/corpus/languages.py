"""The programming language of a file: by its name, then by what is in it. Names are those of GitHub's Linguist."""

import re
from pathlib import PurePosixPath

_TABLE = """
ABAP: abap
ANTLR: g4
Ada: adb ads
Agda: agda
Apex: cls trigger
Assembly: s asm nasm
Awk: awk
Batchfile: bat cmd
C: c h
C#: cs csx
C++: cc cpp cxx c++ hh hpp hxx h++ h ino ipp tcc
CMake: cmake
COBOL: cob cbl cpy
CSS: css
Clojure: clj cljs cljc
CoffeeScript: coffee
Common Lisp: lisp lsp cl asd
Coq: v
Crystal: cr
Cuda: cu cuh
Cython: pyx pxd
D: d
Dart: dart
Dockerfile: dockerfile
Elixir: ex exs
Elm: elm
Emacs Lisp: el
Erlang: erl hrl
F#: fs fsi fsx
Fortran: f f77 f90 f95 f03 f08 for
GDScript: gd
GLSL: glsl vert frag geom comp fs
Go: go
GraphQL: graphql gql
Groovy: groovy gradle
HCL: tf hcl
HLSL: hlsl
Haskell: hs lhs
Haxe: hx
Idris: idr
Isabelle: thy
Java: java
JavaScript: js mjs cjs jsx
Julia: jl
Kotlin: kt kts
LLVM: ll
Lean: lean
Less: less
Lex: l
Lua: lua
M4: m4
MATLAB: m
Makefile: mk mak
Metal: metal
Nim: nim
Nix: nix
OCaml: ml mli
Objective-C: m h
Objective-C++: mm
OpenCL: cl
PHP: php phtml
Pascal: pas dpr lpr
Perl: pl pm t
PowerShell: ps1 psm1
Processing: pde
Prolog: pl prolog
Protocol Buffer: proto
Puppet: pp
PureScript: purs
Python: py pyi pyw
QML: qml
R: r
Racket: rkt
Raku: raku rakumod
Reason: re
Ruby: rb rake gemspec
Rust: rs
SAS: sas
SCSS: scss
SQL: sql
Sass: sass
Scala: scala sc sbt
Scheme: scm ss
Shell: sh bash zsh ksh
Solidity: sol
Stan: stan
Standard ML: sml
Starlark: bzl bazel star
Stata: do ado
Svelte: svelte
Swift: swift
SystemVerilog: sv svh
Tcl: tcl
TeX: tex sty cls
Thrift: thrift
TypeScript: ts tsx mts cts
VHDL: vhd vhdl
Vala: vala
Verilog: v
Vim Script: vim
Visual Basic .NET: vb
Vue: vue
WGSL: wgsl
WebAssembly: wat
Yacc: y yy
Zig: zig
fish: fish
"""
_NAMES = {
    "makefile": "Makefile",
    "gnumakefile": "Makefile",
    "dockerfile": "Dockerfile",
    "containerfile": "Dockerfile",
    "cmakelists.txt": "CMake",
    "rakefile": "Ruby",
    "gemfile": "Ruby",
    "vagrantfile": "Ruby",
    "jenkinsfile": "Groovy",
    "build": "Starlark",
    "workspace": "Starlark",
    "sconstruct": "Python",
}
_INTERPRETERS = {
    "Python": "python pypy",
    "Shell": "sh bash zsh ksh dash",
    "JavaScript": "node nodejs deno bun",
    "Perl": "perl",
    "Ruby": "ruby",
    "PHP": "php",
    "Lua": "lua luajit",
    "Awk": "awk gawk mawk",
    "R": "Rscript",
    "Tcl": "tclsh wish",
    "fish": "fish",
    "Groovy": "groovy",
    "Julia": "julia",
    "Racket": "racket",
}
_SHEBANG = re.compile(r"#!\s*(?:\S*/)?([A-Za-z]+)\S*(?:\s+(?:-\S+\s+)*([A-Za-z]+))?")
# Of languages that share a suffix, what shows one of them; the last entry needs no proof.
_TELLING: dict[str, tuple[tuple[str, str], ...]] = {
    "h": (
        ("Objective-C", r"^\s*(?:@(?:interface|protocol|property|end|class)\b|#import\b)"),
        ("C++", r"^\s*(?:class\s+\w|namespace\s+\w|template\s*<|using\s+\w|(?:public|private|protected):)|\bstd::"),
        ("C", ""),
    ),
    "m": (
        ("Objective-C", r"^\s*(?:@(?:interface|implementation|import|protocol)\b|#(?:import|include)\b)"),
        ("MATLAB", ""),
    ),
    "pl": (("Perl", r"^\s*(?:use\s+\w|my\s*[$@%(]|sub\s+\w)|^#!.*perl"), ("Prolog", r":-|^\w+\(.*\)\.$"), ("Perl", "")),
    "v": (("Coq", r"^\s*(?:Theorem|Lemma|Require|Definition|Inductive|Proof)\b"), ("Verilog", "")),
    "cl": (("Common Lisp", r"^\s*\((?:def|in-package|use-)"), ("OpenCL", "")),
    "cls": (("TeX", r"^\s*(?:\\|%)"), ("Apex", "")),
    "fs": (("GLSL", r"^\s*(?:#version\b|void\s+main\s*\()"), ("F#", "")),
}
# Files of other formats under a suffix of a language: Qt translations, dependencies that a compiler wrote.
_NOT_CODE = {"ts": re.compile(r"\s*<(?:\?xml|!DOCTYPE|TS)\b"), "d": re.compile(r"^\S+\.o\s*:", re.MULTILINE)}

_BY_SUFFIX: dict[str, tuple[str, ...]] = {}
for _line in _TABLE.strip().splitlines():
    _language, _, _suffixes = _line.partition(": ")
    for _suffix in _suffixes.split():
        _BY_SUFFIX[_suffix] = (*_BY_SUFFIX.get(_suffix, ()), _language)
LANGUAGES = tuple(line.partition(":")[0] for line in _TABLE.strip().splitlines())
_BY_INTERPRETER = {name: language for language, names in _INTERPRETERS.items() for name in names.split()}
_PATTERNS = {
    suffix: tuple((language, re.compile(pattern, re.MULTILINE)) for language, pattern in entries)
    for suffix, entries in _TELLING.items()
}
_LOOKED_AT = 20_000  # characters


def languages_of_name(path: str) -> tuple[str, ...]:
    """The languages that a file of this name may be written in; none for other files."""
    name = PurePosixPath(path).name.lower()
    return (_NAMES[name],) if name in _NAMES else _BY_SUFFIX.get(_suffix_of(name), ())


def language_of(path: str, text: str) -> str | None:
    """The language of a file, by its name and, where that leaves a choice, by its text; None when it is not code."""
    candidates = languages_of_name(path)
    if not candidates:
        return language_of_shebang(text)
    suffix = _suffix_of(PurePosixPath(path).name.lower())
    head = text[:_LOOKED_AT]
    if suffix in _NOT_CODE and _NOT_CODE[suffix].match(head):
        return None
    if len(candidates) > 1:
        for language, pattern in _PATTERNS.get(suffix, ()):
            if pattern.search(head):
                return language
    return candidates[0]


def language_of_shebang(text: str) -> str | None:
    """The language that the first line of a script names: `#!/usr/bin/env python3` is Python."""
    match = _SHEBANG.match(text[:200].partition("\n")[0])
    if match is None:
        return None
    return _BY_INTERPRETER.get(match[2] if match[1] == "env" and match[2] else match[1])


def language_called(name: str) -> str | None:
    """The language of this name whatever its case: `python`, `c++` and `C++`; None when there is none."""
    return _BY_NAME.get(name.strip().lower().replace("-", " ").replace("_", " "))


def _suffix_of(name: str) -> str:
    return name.rpartition(".")[2] if "." in name.lstrip(".") else ""


_BY_NAME = {name.lower().replace("-", " "): name for name in LANGUAGES} | {
    "cpp": "C++",
    "csharp": "C#",
    "c sharp": "C#",
    "js": "JavaScript",
    "ts": "TypeScript",
    "golang": "Go",
    "bash": "Shell",
    "objc": "Objective-C",
    "py": "Python",
    "dockerfile": "Dockerfile",
}
