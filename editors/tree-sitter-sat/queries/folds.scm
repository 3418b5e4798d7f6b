[(block) (arguments) (settings) (list)] @fold
