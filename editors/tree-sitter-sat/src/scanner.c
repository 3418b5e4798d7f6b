// Newlines: which of them end a line, and which are white space. The rules are those of satdsl/syntax/layout.py.

#include <stdlib.h>
#include <string.h>

#include "tree_sitter/parser.h"

enum Token { NEWLINE, JOINED };

enum { LONGEST_WORD = 16 };

static const char *const RESERVED[] = {
    "sat",   "title", "use",      "param",    "dataset", "model", "attack", "recipe", "train",
    "split", "transfer", "evaluate", "sweep", "plot",    "table", "expect", "published",
    "label",
};

static bool is_newline(int32_t c) { return c == '\n' || c == '\r'; }

static bool is_space(int32_t c) { return c == ' ' || c == '\t' || c == '\f' || c == '\v' || c == 0xFEFF || c == 0xA0; }

static bool is_digit(int32_t c) { return c >= '0' && c <= '9'; }

static bool begins_word(int32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool in_word(int32_t c) { return begins_word(c) || is_digit(c) || c > 127; }

static bool skip_space(TSLexer *lexer, bool lines) {
  bool any = false;
  while (!lexer->eof(lexer) && (is_space(lexer->lookahead) || (lines && is_newline(lexer->lookahead)))) {
    lexer->advance(lexer, false);
    any = true;
  }
  return any;
}

static void skip_to_word(TSLexer *lexer) {
  skip_space(lexer, true);
  while (lexer->lookahead == '#') {
    while (!lexer->eof(lexer) && !is_newline(lexer->lookahead)) lexer->advance(lexer, false);
    skip_space(lexer, true);
  }
}

// The word that follows, as far as it fits.
static void read_word(TSLexer *lexer, char *word) {
  unsigned length = 0;
  while (in_word(lexer->lookahead)) {
    if (length < LONGEST_WORD - 1) word[length++] = lexer->lookahead < 128 ? (char)lexer->lookahead : '?';
    lexer->advance(lexer, false);
  }
  word[length] = '\0';
}

static bool is_reserved(const char *word) {
  for (unsigned i = 0; i < sizeof RESERVED / sizeof *RESERVED; i++) {
    if (strcmp(word, RESERVED[i]) == 0) return true;
  }
  return false;
}

// Whether the word just read, and what follows it, can only be a statement's beginning. `attack A with p` and
// `train all` are lines.
static bool begins_statement(TSLexer *lexer, const char *word) {
  if (!is_reserved(word) || !skip_space(lexer, true)) return false;
  int32_t next = lexer->lookahead;
  bool attack = strcmp(word, "attack") == 0, train = strcmp(word, "train") == 0;
  if (strcmp(word, "label") == 0 && (next == '$' || next == '[')) return true;
  if (attack ? !in_word(next) : !(begins_word(next) || is_digit(next) || next == '"' || next == '{')) return false;
  if (!attack && !(train && begins_word(next))) return true;
  char name[LONGEST_WORD];
  read_word(lexer, name);
  if (train && strcmp(name, "all") != 0 && strcmp(name, "head") != 0) return true;
  skip_space(lexer, true);
  return lexer->lookahead == '=';
}

// What stands before a line that goes on with the one above.
static bool continues(int32_t c) {
  return c == 0xB1 /* ± */ || (c != 0 && c < 128 && strchr("-=:,+*/<>&.{})]", (char)c) != NULL);
}

void *tree_sitter_sat_external_scanner_create(void) { return NULL; }

void tree_sitter_sat_external_scanner_destroy(void *payload) { (void)payload; }

unsigned tree_sitter_sat_external_scanner_serialize(void *payload, char *buffer) {
  (void)payload;
  (void)buffer;
  return 0;
}

void tree_sitter_sat_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
  (void)payload;
  (void)buffer;
  (void)length;
}

bool tree_sitter_sat_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid) {
  (void)payload;
  while (is_space(lexer->lookahead)) lexer->advance(lexer, true);
  if (!is_newline(lexer->lookahead)) return false;
  skip_space(lexer, true);
  lexer->mark_end(lexer);
  skip_to_word(lexer);
  char word[LONGEST_WORD] = "";
  bool joins = continues(lexer->lookahead);
  if (begins_word(lexer->lookahead)) {
    read_word(lexer, word);
    joins = strcmp(word, "and") == 0 || strcmp(word, "if") == 0 || strcmp(word, "else") == 0;
    if (begins_statement(lexer, word)) {
      // Also where the grammar expects more of a statement: it is broken, and the next one begins here.
      lexer->result_symbol = NEWLINE;
      return true;
    }
  }
  lexer->result_symbol = valid[NEWLINE] && !joins ? NEWLINE : JOINED;
  return true;
}
