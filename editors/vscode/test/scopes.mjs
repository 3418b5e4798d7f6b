// The scopes of every character of the files named as arguments, as VS Code's own engine gives them: {path: [scope]}.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const oniguruma = require('vscode-oniguruma');
const textmate = require('vscode-textmate');

await oniguruma.loadWASM(readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm')).buffer);
const grammarFile = new URL('../syntaxes/sat.tmLanguage.json', import.meta.url);
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => textmate.parseRawGrammar(readFileSync(grammarFile, 'utf-8'), 'sat.tmLanguage.json'),
});
const grammar = await registry.loadGrammar('source.sat');

const scopesOf = (text) => {
  const scopes = [];
  let state = textmate.INITIAL;
  for (const line of text.split('\n')) {
    const { tokens, ruleStack } = grammar.tokenizeLine(line, state);
    state = ruleStack;
    for (const token of tokens) {
      const end = Math.min(token.endIndex, line.length);
      for (let i = token.startIndex; i < end; i++) scopes.push(token.scopes.at(-1));
    }
    scopes.push('newline');
  }
  return scopes;
};

const files = process.argv.slice(2);
console.log(JSON.stringify(Object.fromEntries(files.map((path) => [path, scopesOf(readFileSync(path, 'utf-8'))]))));
