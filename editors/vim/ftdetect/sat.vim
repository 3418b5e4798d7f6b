autocmd BufRead,BufNewFile *.sat setfiletype sat
