[(block) (arguments) (list)] @fold
