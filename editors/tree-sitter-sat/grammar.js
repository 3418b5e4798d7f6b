/// <reference types="tree-sitter-cli/dsl" />
// The .sat language for editors: rule for rule that of grammar/sat.lark, with its names for statements and lines.
//
// Which newline ends a line and which is white space is decided in src/scanner.c, as satdsl/syntax/layout.py does.
// Words are keywords only where a rule has them, so each of them can also be a name.

const PRECEDENCE = { add: 1, multiply: 2, negative: 3, shift: 4 };

// The words that are keywords beside names: where only a name can stand, each of them is one.
const SUBSET_WORDS = ['class', 'classes', 'example', 'examples', 'hardest', 'easiest', 'random', 'images'];
const EXPRESSION_WORDS = ['classes', 'for'];

const nameOr = ($, words) => choice($.name, alias(choice(...words), $.name));

const commaSep1 = (rule) => seq(rule, repeat(seq(',', rule)));

const block = ($, line) =>
  seq('{', repeat($._separator), optional(seq(line, repeat(seq(repeat1($._separator), line)), repeat($._separator))), '}');

module.exports = grammar({
  name: 'sat',

  word: ($) => $.name,

  externals: ($) => [$._newline, $._joined],

  extras: ($) => [/[ \t\f\v\u00A0\uFEFF]/, $.comment, $._joined],

  supertypes: ($) => [$._statement],

  rules: {
    source_file: ($) =>
      seq(
        repeat($._separator),
        optional(seq($._statement, repeat(seq(repeat1($._separator), $._statement)), repeat($._separator))),
      ),

    _separator: ($) => choice($._newline, ';'),

    _statement: ($) =>
      choice(
        $.version,
        $.title,
        $.use,
        $.param,
        $.sweep,
        $.declaration,
        $.joined,
        $.train,
        $.split,
        $.transfer,
        $.evaluate,
        $.display,
        $.expect,
        $.published,
        $.labelled,
      ),

    version: ($) => seq('sat', field('version', $.number)),
    title: ($) => seq('title', field('text', $.string)),
    use: ($) => seq('use', field('path', $.string)),
    param: ($) => seq('param', field('name', $.name), '=', field('value', $._value)),
    sweep: ($) => seq('sweep', field('body', alias($._sweep_block, $.block))),
    declaration: ($) =>
      seq(
        field('kind', choice('dataset', 'model', 'attack', 'recipe')),
        field('name', $.name),
        '=',
        field('value', $.call),
      ),
    joined: ($) =>
      seq(
        field('kind', choice('dataset', 'model', 'attack', 'recipe')),
        field('name', $.name),
        '=',
        $.name,
        repeat1(seq('+', $._word)),
      ),
    train: ($) =>
      seq(
        'train',
        field('name', $.name),
        '=',
        field('model', $._word),
        'on',
        field('data', $._word),
        optional(seq('.', field('subset', $._word))),
        'using',
        field('recipe', $._word),
        optional(field('body', alias($._train_block, $.block))),
      ),
    split: ($) =>
      seq(
        'split',
        field('name', $.name),
        'of',
        field('data', $._word),
        field('body', alias($._split_block, $.block)),
      ),
    transfer: ($) =>
      seq(
        'transfer',
        field('name', $.name),
        '=',
        field('source', $.point),
        'to',
        field('data', $._word),
        'using',
        field('recipe', $._word),
        optional(field('body', alias($._transfer_block, $.block))),
      ),
    evaluate: ($) =>
      seq(
        'evaluate',
        field('trained', $.name),
        repeat(seq(',', field('trained', $.name))),
        optional($._moment),
        field('body', alias($._evaluate_block, $.block)),
      ),
    display: ($) =>
      seq(field('kind', choice('plot', 'table')), field('title', $.string), '=', field('value', $.call)),
    expect: ($) =>
      seq('expect', field('text', $.string), ':', optional(seq($.for_all, ':')), field('condition', $.condition)),
    labelled: ($) =>
      seq('label', choice(field('what', $._word), seq('[', field('what', $.selector), ']')), field('text', $.string)),
    // A text after the word is the source, also before what could go on with it as an expression.
    published: ($) =>
      choice(
        prec(PRECEDENCE.shift, seq('published', field('source', $.string), $._figure)),
        seq('published', $._figure),
      ),
    _figure: ($) =>
      seq(optional(seq($.for_all, ':')), field('result', $._expression), '=', field('value', $._expression)),

    // --- the lines of blocks

    _sweep_block: ($) => block($, choice($.axis, $.axes)),
    axis: ($) => seq(field('name', $.name), '=', field('values', $._value)),
    axes: ($) => seq('(', $.name, repeat1(seq(',', $.name)), ')', '=', field('values', $._value)),

    _train_block: ($) =>
      block($, choice($.attack_line, $.loss_line, $.select_line, $.keep_line, $.seed_line, $.start_line)),
    attack_line: ($) =>
      seq(
        'attack',
        field('subset', $._word),
        'with',
        $._attacks,
        optional(field('scaled', $.scaled)),
        optional($.during),
      ),
    scaled: ($) => seq('scaled', 'by', $.scores_in),
    _attacks: ($) =>
      choice(
        commaSep1(field('attack', $._attack)),
        seq(field('how', choice('each', 'one')), 'of', commaSep1(field('attack', $._attack))),
      ),
    _attack: ($) => choice(nameOr($, ['each', 'one']), $.parameter),
    during: ($) =>
      choice(
        seq('from', 'epoch', $._expression, optional(seq('until', 'epoch', $._expression))),
        seq('until', 'epoch', $._expression),
      ),
    loss_line: ($) =>
      seq('loss', field('subset', $._word), '=', field('loss', $._expression), optional($.during)),
    select_line: ($) => seq('select', optional(seq('by', field('measure', $._measure))), optional($._when)),
    _when: ($) => choice($.after_drops, $._moment),
    _moment: ($) => choice($.at_end, $.every),
    after_drops: () => seq('after', 'each', 'lr', 'drop'),
    at_end: () => seq('at', 'end'),
    every: ($) => seq('every', choice('epoch', seq($._expression, choice('epoch', 'epochs')))),
    keep_line: ($) => seq('keep', choice('snapshots', 'weights'), $.every),
    seed_line: ($) => seq('seed', '=', $._expression),
    start_line: ($) => seq('start', 'from', $.point),

    _split_block: ($) => block($, choice($.subset_line, $.weight_line, $.share_line)),
    subset_line: ($) => seq(field('name', nameOr($, ['weight', 'share'])), '=', field('subset', $._subset)),
    weight_line: ($) =>
      seq('weight', field('subset', $.name), '=', field('weight', choice($._expression, $.scores_in))),
    share_line: ($) => seq('share', field('subset', $.name), '=', field('share', $._expression)),

    _transfer_block: ($) =>
      block(
        $,
        choice(
          $.trained_line,
          $.head_line,
          $.attack_line,
          $.loss_line,
          $.select_line,
          $.keep_line,
          $.seed_line,
        ),
      ),
    trained_line: () => seq('train', choice('all', 'head')),
    head_line: ($) => seq('head', '=', field('head', choice($.call, $._word))),

    _evaluate_block: ($) => block($, $.measure_line),
    measure_line: ($) =>
      seq(
        field('name', $.name),
        '=',
        field('measure', choice($._measure, $._nearest)),
        'on',
        commaSep1($.part),
        optional(seq('by', 'class')),
      ),

    // --- going over axes

    for_all: ($) => seq('for', 'all', commaSep1($.ranging)),
    ranging: ($) => seq(field('axis', $.name), optional(seq('in', $._plain))),

    // --- subsets of the training set

    _subset: ($) =>
      choice(
        $.parenthesized_subset,
        $.named_subset,
        $.class_subset,
        $.pick,
        $.where,
        $.listed,
        $.images_of,
        $.union,
        $.difference,
        $.intersection,
      ),
    parenthesized_subset: ($) => seq('(', $._subset, ')'),
    named_subset: ($) => nameOr($, SUBSET_WORDS),
    union: ($) => prec.left(PRECEDENCE.add, seq($._subset, '+', $._subset)),
    difference: ($) => prec.left(PRECEDENCE.add, seq($._subset, '-', $._subset)),
    intersection: ($) => prec.left(PRECEDENCE.multiply, seq($._subset, '&', $._subset)),
    class_subset: ($) => seq(choice('class', 'classes'), commaSep1(choice($.class_name, $.class_range))),
    class_range: ($) => seq(choice($.number, $.parameter), '..', choice($.number, $.parameter)),
    class_name: ($) => choice($.name, $.string, $.number, $.parameter),
    pick: ($) =>
      seq(
        field('order', $.order),
        field('amount', choice($.number, $.percent, $.parameter, $.parenthesized)),
        choice('example', 'examples', 'class', 'classes'),
        repeat(choice($.per_class, $.within, $.by_ranking, $.with_seed, $.every)),
      ),
    order: ($) => choice('hardest', 'easiest', 'random', $.parameter),
    per_class: () => seq('per', 'class'),
    within: ($) => seq('of', choice($.name, seq('(', $._subset, ')'))),
    by_ranking: ($) => seq('by', $._ranking),
    with_seed: ($) => seq('seed', optional('='), $._expression),
    where: ($) =>
      seq(choice('example', 'examples'), 'where', $._ranking, field('operator', $.comparison_operator), $._expression),
    listed: ($) => seq(choice('example', 'examples'), 'listed', 'in', $.string),
    images_of: ($) => seq('images', 'of', field('data', $._word)),
    _ranking: ($) => choice($.score_of, $.score_of_itself, $.scores_in, $.ranking_in),
    score_of_itself: ($) => seq($.score, 'of', 'itself'),
    score_of: ($) => seq($.score, 'of', $.point, optional($._under)),
    _under: ($) => seq('under', $._word),
    scores_in: ($) => seq('scores', 'in', $.string),
    ranking_in: ($) => seq('ranking', 'in', $.string),
    // A score's name may have hyphens, which are minus signs elsewhere.
    score: ($) => choice(seq($.name, repeat(token.immediate(/-[A-Za-z_][\p{L}\p{N}_]*/))), $.parameter),

    // --- measures

    _measure: ($) => choice($.clean_accuracy, $.robust_accuracy, $.mean_score, $.call),
    clean_accuracy: () => seq('clean', 'accuracy'),
    robust_accuracy: ($) => seq('robust', 'accuracy', 'under', commaSep1($._attacked)),
    _attacked: ($) => seq($._word, optional($.made_on)),
    made_on: ($) => seq('made', 'on', $.point),
    mean_score: ($) => seq('mean', $.score, optional($._under)),
    // Under attacks that look for the nearest adversarial image.
    _nearest: ($) => choice($.robust_curve, $.median_distance, $.mean_distance),
    robust_curve: ($) => seq('robust', 'accuracy', 'under', commaSep1($._attacked), 'at', field('radii', $._plain)),
    median_distance: ($) => seq('median', 'distance', 'under', commaSep1($._word)),
    mean_distance: ($) => seq('mean', 'distance', 'under', commaSep1($._word)),
    part: ($) => seq($.name, optional(seq('.', $.name))),

    // --- values

    _value: ($) => choice($._plain, $.conditional),
    conditional: ($) => prec.right(seq($._plain, 'if', field('condition', $.condition), 'else', $._value)),
    _plain: ($) => choice($._expression, $.range, $.around),
    around: ($) => seq(field('centre', $._expression), field('operator', choice('±', '+/-')), field('within', $._expression)),
    range: ($) =>
      seq(field('first', $._expression), '..', field('last', $._expression), optional(seq('step', $._expression))),

    condition: ($) => seq($.comparison, repeat(seq('and', $.comparison))),
    comparison: ($) => seq($._expression, field('operator', $.comparison_operator), $._expression),
    comparison_operator: () => choice('>=', '<=', '==', '!=', '>', '<'),

    _expression: ($) =>
      choice(
        $.number,
        $.percent,
        $.parameter,
        $.string,
        $.size,
        $.classes_of,
        $.call,
        $.predicted,
        $.bare,
        $.reference,
        $.parenthesized,
        $.tuple,
        $.settings,
        $.list,
        $.negative,
        $.binary,
      ),
    binary: ($) =>
      choice(
        prec.left(PRECEDENCE.add, seq($._expression, field('operator', choice('+', '-')), $._expression)),
        prec.left(PRECEDENCE.multiply, seq($._expression, field('operator', choice('*', '/')), $._expression)),
      ),
    negative: ($) => prec(PRECEDENCE.negative, seq('-', $._expression)),
    size: ($) => seq('|', $.name, '|'),
    classes_of: ($) => prec(PRECEDENCE.shift, seq('classes', 'of', $.name)),
    bare: ($) => $._expression_name,
    reference: ($) =>
      seq(field('trained', $._expression_name), '.', field('result', $.name), optional(field('point', $.selectors))),
    parenthesized: ($) => seq('(', $._expression, ')'),
    tuple: ($) => seq('(', $._expression, repeat1(seq(',', $._expression)), ')'),
    settings: ($) => seq('(', commaSep1(alias($.entry, $.argument)), optional(','), ')'),
    entry: ($) => seq(field('name', $._expression_name), '=', field('value', $._value)),
    list: ($) => seq('[', optional(seq(commaSep1($.item), optional(','))), ']'),
    item: ($) => seq(optional(seq(field('label', $._label), ':')), $._value),
    _label: ($) => choice($._expression_name, $.number, $.percent, $.string),

    predicted: ($) => seq(field('model', alias($._asked, $.point)), '(', field('image', $.name), ')'),
    _asked: ($) => seq($._expression_name, $.selectors),

    call: ($) => seq(field('function', $._expression_name), field('arguments', $.arguments)),
    arguments: ($) => seq('(', optional(seq(commaSep1($.argument), optional(','))), ')'),
    argument: ($) => seq(optional(seq(field('name', $._expression_name), '=')), field('value', $._value)),

    point: ($) => seq($._word, optional($.selectors)),
    selectors: ($) => seq('[', commaSep1($.selector), ']'),
    selector: ($) => seq(field('axis', $.name), '=', $._expression),

    // --- words

    _word: ($) => choice($.name, $.parameter),
    _expression_name: ($) => nameOr($, EXPRESSION_WORDS),
    name: () => /[A-Za-z_][\p{L}\p{N}_]*/,

    parameter: () => /\$[A-Za-z_][\p{L}\p{N}_]*/,
    number: () => /[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?/,
    percent: () => /[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?%/,
    string: () => /"[^"\n]*"/,
    comment: () => /#[^\n\r]*/,
  },
});
