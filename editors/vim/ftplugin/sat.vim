" Comments, the words of a file, and :make for satdsl specifications.

if exists('b:did_ftplugin')
  finish
endif
let b:did_ftplugin = 1

setlocal comments=:# commentstring=#\ %s formatoptions-=t formatoptions+=croql
setlocal include=^\\s*use\\s\\+\" suffixesadd=.sat
setlocal shiftwidth=2 softtabstop=2 expandtab textwidth=120

" The satdsl of the project's own environment where it has one.
let s:own = findfile('.venv/bin/satdsl', fnamemodify(expand('%:p:h'), ':p') .. ';')
let &l:makeprg = (empty(s:own) ? 'satdsl' : shellescape(fnamemodify(s:own, ':p'))) .. ' check %:S'
" A finding's first line is its text, the second its place; what it quotes and advises is left out.
setlocal errorformat=%Eerror\ %m,%Wwarning\ %m,%Z\ \ %f:%l:%c,%-G%.%#

let b:undo_ftplugin = 'setlocal comments< commentstring< formatoptions< include< suffixesadd< shiftwidth<'
      \ .. ' softtabstop< expandtab< textwidth< makeprg< errorformat<'
