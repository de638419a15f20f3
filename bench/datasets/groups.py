"""Classes that belong together: man-made and natural things, the dissimilar halves of Yosinski et al. 2014.

Of CIFAR-100, man-made are 6 of the 20 superclasses: containers, household devices, furniture, outdoor constructions and
both kinds of vehicles.
"""

CIFAR10 = {
    "man_made": ("airplane", "automobile", "ship", "truck"),
    "natural": ("bird", "cat", "deer", "dog", "frog", "horse"),
}
CIFAR100 = {
    "man_made": (
        "bottle", "bowl", "can", "cup", "plate", "clock", "keyboard", "lamp", "telephone", "television", "bed",
        "chair", "couch", "table", "wardrobe", "bridge", "castle", "house", "road", "skyscraper", "bicycle",
        "bus", "motorcycle", "pickup_truck", "train", "lawn_mower", "rocket", "streetcar", "tank", "tractor",
    ),
    "natural": (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bee", "beetle", "boy", "butterfly", "camel",
        "caterpillar", "cattle", "chimpanzee", "cloud", "cockroach", "crab", "crocodile", "dinosaur", "dolphin",
        "elephant", "flatfish", "forest", "fox", "girl", "hamster", "kangaroo", "leopard", "lion", "lizard",
        "lobster", "man", "maple_tree", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
        "otter", "palm_tree", "pear", "pine_tree", "plain", "poppy", "porcupine", "possum", "rabbit", "raccoon",
        "ray", "rose", "sea", "seal", "shark", "shrew", "skunk", "snail", "snake", "spider", "squirrel",
        "sunflower", "sweet_pepper", "tiger", "trout", "tulip", "turtle", "whale", "willow_tree", "wolf",
        "woman", "worm",
    ),
}
