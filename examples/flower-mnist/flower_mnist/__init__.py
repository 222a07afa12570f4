"""MNIST in a Flower federation of which some clients plant a backdoor."""
