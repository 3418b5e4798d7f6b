[(block) (arguments) (list)] @indent.begin
["}" ")" "]"] @indent.end @indent.branch
