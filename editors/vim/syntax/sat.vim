" The words of a specification. Almost every word of the language can also be a name, so a word is a keyword only in the
" phrase that makes it one, and phrases belong to the statement that they stand in.

if exists('b:current_syntax')
  finish
endif

syntax case match
syntax sync minlines=200

" --- what all statements have; of two items that begin at one place, Vim takes the later

syntax match satName contained /\<\h\w*/
syntax match satOperator contained /[-=+*\/<>&|!±]\|\.\./
syntax match satDelimiter /[{}()\[\],:;]/
syntax match satField contained /\.\@1<=\h\w*/
syntax match satSetting contained /\<\h\w*\ze\s*==\@!/
syntax match satFunction contained /\<\h\w*\ze\s*(/
syntax match satConstant contained /\<\%(true\|false\|all\|none\|rest\)\>\%(\s*[.=(]\)\@!/
syntax match satNumber contained /\<\d\+\%(\.\d\+\)\=\%([eE][+-]\=\d\+\)\=%\=/
syntax match satParameter contained /\$\h\w*/
syntax match satKeyword contained /[.$|]\@1<!\<\%(if\|and\|else\)\>\ze\%(\s*$\|\s\+\%([$(|"-]\|\w\)\)/
syntax match satKeyword contained /[.$|]\@1<!\<step\ze\s\+[0-9$(|-]/
syntax match satKeyword contained /[.$|]\@1<!\<classes\s\+of\ze\s\+\h/
syntax match satUnclosed /"[^"]*$/
syntax match satString /"[^"]*"/
syntax match satComment /#.*/ contains=@Spell

syntax cluster satValue contains=satName,satOperator,satDelimiter,satField,satSetting,satFunction,satConstant,
      \satNumber,satParameter,satKeyword,satUnclosed,satString,satComment

" --- phrases

syntax match satMeasure contained /[.$|]\@1<!\<clean\s\+accuracy\>/
syntax match satMeasure contained /[.$|]\@1<!\<robust\s\+accuracy\s\+under\>/ nextgroup=satMeasured skipwhite
syntax match satMeasure contained /[.$|]\@1<!\<mean\ze\s\+[$A-Za-z_][-A-Za-z0-9_]*\%(\s\+\%(on\|under\|after\|at\|every\)\>\|\s*\%([;}#]\|$\)\)/
      \ nextgroup=satScore skipwhite
syntax match satMeasure contained /[.$|]\@1<!\<\%(median\|mean\)\s\+distance\s\+under\>/ nextgroup=satMeasured skipwhite
syntax match satMeasure contained /[.$|]\@1<!\<at\ze\s\+[0-9$[(]/
syntax match satMeasure contained /[.$|]\@1<!\<on\ze\s\+\h/
syntax match satMeasure contained /[.$|]\@1<!\<made\s\+on\ze\s\+[$A-Za-z_]/ nextgroup=satMeasured skipwhite
syntax match satMeasure contained /[.$|]\@1<!\<by\s\+class\>/
syntax match satMeasured contained /\$\=\h\w*\%(\s*,\s*\$\=\h\w*\)*/ contains=satParameter
syntax match satScore contained /\h\w*\%(-\h\w*\)*/
syntax match satMeasure contained /\%(\<mean\s\+[$A-Za-z_][-A-Za-z0-9_]*\s\+\)\@200<=under\>/ nextgroup=satMeasured skipwhite

syntax match satTrainWord contained /\%(\<train\s\+\h\w*\s*=\_s*\$\=\h\w*\s\+\)\@200<=on\>/
syntax match satTrainWord contained /\%(\<train\s\+\h\w*\s*=\_s*\$\=\h\w*\s\+on\s\+\$\=\h\w*\%(\.\$\=\h\w*\)\=\s\+\)\@200<=using\>/
syntax match satTrainWord contained /\%(^\s*\|[;{]\s*\)\@200<=attack\ze\s\+\$\=\h\w*\s\+with\>/ nextgroup=satUsed skipwhite
syntax match satTrainWord contained /\%(\<attack\s\+\$\=\h\w*\s\+\)\@200<=with\>/ nextgroup=satUsed skipwhite
syntax match satTrainWord contained /\%(\<attack\s\+\$\=\h\w*\s\+\)\@200<=with\s\+\%(each\|one\)\s\+of\ze\s\+[$A-Za-z_]/ nextgroup=satUsed skipwhite
syntax match satTrainWord contained /\%(^\s*\|[;{]\s*\)\@200<=loss\ze\s\+\$\=\h\w*\s*=/ nextgroup=satUsed skipwhite
syntax match satTrainWord contained /\%(^\s*\|[;{]\s*\)\@200<=\%(select\|keep\|start\)\>\%(\s*=\)\@!/
syntax match satTrainWord contained /\%(^\s*\|[;{]\s*\)\@200<=seed\ze\s*=/
syntax match satTrainWord contained /\<by\ze\s\+\%(clean\|robust\|mean\)\>/
syntax match satTrainWord contained /\<after\s\+each\s\+lr\s\+drop\>/
syntax match satTrainWord contained /\<at\s\+end\ze\s*\%([;}#]\|$\)/
syntax match satTrainWord contained /\<from\ze\s\+[$A-Za-z_]/ nextgroup=satUsed skipwhite
syntax match satTrainWord contained /\<\%(from\|until\)\s\+epoch\ze\s\+[$A-Za-z0-9_(|-]/
syntax match satTrainWord contained /\<scaled\s\+by\s\+scores\s\+in\ze\s*"/
syntax match satTrainWord contained /\<\%(snapshots\|weights\)\ze\s\+every\>/
syntax match satTrainWord contained /\<every\ze\s\+[$A-Za-z0-9_(|-]/
syntax match satTrainWord contained /\<epochs\=\ze\s*\%([;}#]\|$\)/
syntax match satUsed contained /\h\w*/

syntax match satEpochWord contained /\<at\s\+end\ze\s*{/
syntax match satEpochWord contained /\<every\ze\s\+[^{};]*\<epochs\=\s*{/
syntax match satEpochWord contained /\<epochs\=\ze\s*{/

syntax match satSplitWord contained /\%(\<split\s\+\h\w*\s\+\)\@200<=of\>/ nextgroup=satUsed skipwhite
syntax match satSplitWord contained /\%(^\s*\|[;{]\s*\)\@200<=\%(weight\|share\)\ze\s\+\h\w*\s*=/ nextgroup=satUsed skipwhite
syntax match satSplitWord contained /[.$|]\@1<!\<\%(class\|classes\)\ze\s\+\%(["$]\|\w\)/ nextgroup=satClasses skipwhite
syntax match satSplitWord contained /\<\%(hardest\|easiest\|random\)\ze\s\+\%(\d\|\$\|(\)/
syntax match satSplitWord contained /\%(\%(\<\%(hardest\|easiest\|random\)\|\$\h\w*\)\s\+[$0-9][0-9A-Za-z_.%]*\s\+\|)\s*\)\@200<=\%(examples\=\|class\|classes\)\>/
syntax match satSplitWord contained /\<examples\=\s\+where\>/ nextgroup=satScore skipwhite
syntax match satSplitWord contained /\<examples\=\s\+listed\s\+in\>/
syntax match satSplitWord contained /\<per\s\+class\>/
syntax match satSplitWord contained /[.$|]\@1<!\<under\ze\s\+[$A-Za-z_]/ nextgroup=satUsed skipwhite
syntax match satSplitWord contained /\<by\>\ze\s\+[$A-Za-z_]/ nextgroup=satScore skipwhite
syntax match satSplitWord contained /\<\%(by\s\+\%(scores\|ranking\)\|scores\)\s\+in\ze\s*"/
syntax match satSplitWord contained /\<every\ze\s\+\%(epoch\>\|[^{};]*[[:space:])]epochs\=\>\)/
syntax match satSplitWord contained /\%([[:alnum:]_)]\s\+\)\@20<=epochs\=\>\ze\s*\%([-+&);}#a-z]\|$\)/
syntax match satSplitWord contained /\<of\ze\s*\%((\|\s\h\)/ nextgroup=satUsed skipwhite
syntax match satSplitWord contained /\<of\s\+itself\>/
syntax match satSplitWord contained /[.$|]\@1<!\<images\s\+of\ze\s\+[$A-Za-z_]/ nextgroup=satUsed skipwhite
syntax match satSplitWord contained /\%([^;{[:space:]]\s\+\)\@200<=seed\ze\%(\s*=\|\s\+[$(|[:alnum:]_-]\)/
syntax match satClasses contained /\%("[^"]*"\|\$\=\w\+\)\%(\s*,\s*\%("[^"]*"\|\$\=\w\+\)\)*/
      \ contains=satString,satParameter,satNumber

syntax match satTransferWord contained /\%(\<transfer\s\+\h\w*\s*=\_s*\$\=\h\w*\s*\%(\[[^]]*\]\)\=\s*\)\@200<=to\>/
syntax match satTransferWord contained /\%(\s\)\@1<=using\ze\s\+[$A-Za-z_]/
syntax match satTransferWord contained /\%(^\s*\|[;{]\s*\)\@200<=\%(head\|seed\)\ze\s*=/
syntax match satTransferWord contained /\%(^\s*\|[;{]\s*\)\@200<=train\s\+\%(all\|head\)\>\%(\s*=\)\@!/

syntax match satClaimWord contained /\<for\s\+all\>/ nextgroup=satUsed skipwhite
syntax match satClaimWord contained /\%(\%(\<for\s\+all\|,\)\s\+\h\w*\s\+\)\@200<=in\>/

" --- statements: each goes on until the next begins

let s:begins = '\%(^\%uFEFF\=\s*\|;\s*\)'
let s:next = s:begins .. '\ze\%(\%(sat\|title\|use\|param\|dataset\|model\|recipe\|train\%(\s\+\%(all\|head\)\>\%(\s*=\)\@!\)\@!\|split\|transfer\|evaluate\|sweep'
      \ .. '\|plot\|table\|expect\|published\|label\)\%(\s*["{]\|\s\+\w\)\|label\s\+[$[]\|attack\s\+\w\+\s*=\)'

function! s:Statement(words, follows, contains) abort
  execute 'syntax region satStatement matchgroup=satBegin transparent'
        \ 'start=/' .. s:begins .. '\zs\%(' .. a:words .. '\)\>' .. a:follows .. '/ end=/' .. s:next .. '/me=s-1'
        \ 'contains=@satValue,satDeclared' .. a:contains
endfunction

call s:Statement('sat\|title\|use\|plot\|table\|sweep\|param\|dataset\|model\|recipe', '\ze\%(\s*["{]\|\s\+\w\)', '')
call s:Statement('attack', '\ze\s\+\w\+\s*=', '')
call s:Statement('label', '\ze\s\+[$[[:alpha:]_]', '')
call s:Statement('expect\|published', '\ze\%(\s*"\|\s\+\h\)', ',satClaimWord')
call s:Statement('train\%(\s\+\%(all\|head\)\>\%(\s*=\)\@!\)\@!', '\ze\s\+\h', ',satTrainWord,satMeasure')
call s:Statement('split', '\ze\s\+\h', ',satSplitWord')
call s:Statement('transfer', '\ze\s\+\h', ',satTransferWord,satTrainWord,satMeasure')
call s:Statement('evaluate', '\ze\s\+\h', ',satEpochWord,satMeasure')
syntax match satDeclared contained
      \ /\%(\%(^\|;\)\s*\%(param\|dataset\|model\|attack\|recipe\|train\|split\|transfer\)\s\+\)\@200<=\h\w*\ze\%(\s*=\|\s\+of\>\)/

highlight default link satBegin Statement
highlight default link satKeyword Keyword
highlight default link satTrainWord Keyword
highlight default link satEpochWord Keyword
highlight default link satSplitWord Keyword
highlight default link satTransferWord Keyword
highlight default link satClaimWord Keyword
highlight default link satMeasure Keyword
highlight default link satDeclared Type
highlight default link satSetting Identifier
highlight default link satField Identifier
highlight default link satFunction Function
highlight default link satScore Function
highlight default link satConstant Constant
highlight default link satParameter PreProc
highlight default link satNumber Number
highlight default link satString String
highlight default link satUnclosed Error
highlight default link satComment Comment
highlight default link satOperator Operator
highlight default link satDelimiter Delimiter

let b:current_syntax = 'sat'
