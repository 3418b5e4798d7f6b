; A later pattern wins.

(name) @variable
(comment) @comment @spell
(string) @string
(title text: (string) @string.special)
[(number) (percent)] @number
(parameter) @variable.parameter

[
  "sat" "title" "use" "param" "sweep" "train" "split" "transfer" "evaluate" "expect" "published" "label"
  "dataset" "model" "recipe" "plot" "table"
] @keyword
(declaration kind: "attack" @keyword)

[
  "on" "using" "of" "to" "with" "attack" "loss" "select" "by" "keep" "snapshots" "weights" "every" "epoch" "epochs"
  "seed" "start" "from" "until" "scaled" "one" "after" "each" "lr" "drop" "at" "end" "head" "weight" "share" "images" "class" "classes" "example" "examples"
  "hardest" "easiest" "random" "where" "listed" "in" "per" "scores" "ranking" "itself" "for" "all" "step"
] @keyword
["clean" "robust" "accuracy" "under" "made" "mean" "median" "distance"] @keyword
["if" "else"] @keyword.conditional
"and" @keyword.operator

(declaration name: (name) @type.definition)
(joined name: (name) @type.definition)
(train name: (name) @type.definition)
(split name: (name) @type.definition)
(transfer name: (name) @type.definition)
(param name: (name) @type.definition)

(axis name: (name) @property)
(axes (name) @property)
(subset_line name: (name) @property)
(measure_line name: (name) @property)
(reference result: (name) @property)
(argument name: (name) @variable.member)
(selector axis: (name) @variable.member)
(item label: (name) @label)
(call function: (name) @function.call)
(score) @function.builtin
(score (parameter) @variable.parameter)
(class_name (name) @constant)
(named_subset (name) @variable)
((bare (name) @constant.builtin) (#any-of? @constant.builtin "true" "false" "none" "all" "rest" "Linf" "L2" "L1"))
((named_subset (name) @constant.builtin) (#any-of? @constant.builtin "rest" "all" "none"))

; Aliased words are names, whatever they are elsewhere.
(named_subset (name) @variable (#not-any-of? @variable "rest" "all" "none"))

["=" "+" "-" "*" "/" "&" "|" ".." "±" "+/-"] @operator
(comparison_operator) @operator
["," ":" ";" "."] @punctuation.delimiter
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
