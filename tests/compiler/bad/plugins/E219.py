import satdsl.plugin as sat


@sat.dataset(classes=10, shape=(1, 8, 8), train="n - 100", val=20)
def mine(part, *, n: int = 200):
    return None
