" One step for each open bracket, and for a statement that goes on in the next line.

if exists('b:did_indent')
  finish
endif
let b:did_indent = 1

setlocal autoindent indentexpr=SatIndent(v:lnum) indentkeys=0{,0},0),0],!^F,o,O
let b:undo_indent = 'setlocal autoindent< indentexpr< indentkeys<'

function! s:Code(number) abort
  return substitute(substitute(getline(a:number), '"[^"]*"', '""', 'g'), '#.*', '', '')
endfunction

" How many more brackets a line opens than it closes, those that it begins with left out.
function! s:Opened(code) abort
  let rest = substitute(a:code, '^[[:space:]})\]]*', '', '')
  return len(substitute(rest, '[^{(\[]', '', 'g')) - len(substitute(rest, '[^})\]]', '', 'g'))
endfunction

function! s:GoesOn(number) abort
  return a:number > 0 && s:Code(a:number) =~# '\%([-=:+*/<>&]\|\<\%(and\|if\|else\)\)\s*$'
endfunction

function! SatIndent(number) abort
  let above = prevnonblank(a:number - 1)
  if above == 0
    return 0
  endif
  let steps = s:Opened(s:Code(above)) + s:GoesOn(above) - s:GoesOn(prevnonblank(above - 1))
  return indent(above) + shiftwidth() * (steps - (getline(a:number) =~# '^\s*[})\]]'))
endfunction
