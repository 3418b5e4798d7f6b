def mine(network, images, labels):
    return images
