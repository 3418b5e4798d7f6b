[(block) (arguments) (settings) (list)] @indent.begin
["}" ")" "]"] @indent.end @indent.branch
