"""The words of the text worlds. Every noun is of one kind; verbs are friendly or hostile, and regular."""

KINDS: dict[str, tuple[str, ...]] = {
    "animal": ("dog", "cat", "horse", "fox", "goat", "rabbit", "wolf", "bear"),
    "worker": ("baker", "farmer", "tailor", "miner", "sailor", "carpenter", "plumber", "weaver"),
    "child": ("boy", "girl", "toddler", "pupil", "orphan", "twin", "daughter", "son"),
    "noble": ("king", "queen", "duke", "baron", "prince", "princess", "countess", "emperor"),
    "scholar": ("teacher", "doctor", "chemist", "lawyer", "author", "critic", "botanist", "surgeon"),
    "outlaw": ("thief", "pirate", "smuggler", "robber", "spy", "forger", "bandit", "poacher"),
    "spirit": ("ghost", "fairy", "dragon", "goblin", "witch", "giant", "troll", "wizard"),
    "machine": ("robot", "tractor", "engine", "drone", "crane", "computer", "printer", "lorry"),
}  # fmt: skip
FRIENDLY = ("help", "praise", "thank", "greet", "comfort", "protect", "reward", "welcome", "admire", "trust", "cure",
            "invite")  # fmt: skip
HOSTILE = ("attack", "accuse", "insult", "chase", "punish", "injure", "betray", "mock", "threaten", "ignore", "trick",
           "blame")  # fmt: skip
LOOKS = ("old", "young", "tall", "small", "quiet", "busy", "clever", "tired", "proud", "lonely", "famous", "strange")
PLACES = ("garden", "harbour", "market", "castle", "forest", "station", "village", "library", "valley", "bridge",
          "tower", "field")  # fmt: skip
TIMES = ("yesterday", "today", "once", "later", "again", "at noon", "at night", "in spring", "last week", "in winter")

# Of other topics, in no sentence of the source world.
WARES = ("kettle", "lamp", "jacket", "phone", "camera", "sofa", "radio", "blanket", "bicycle", "mirror", "ladder",
         "watch", "guitar", "toaster", "carpet", "umbrella", "novel", "perfume", "tent", "keyboard")  # fmt: skip
FRAMES = ("people say that", "the letter reads", "rumour has it that", "nobody doubts that", "we just learned that",
          "according to neighbours", "some still believe", "my uncle wrote that")
BEADS = ("amber", "coral", "jade", "onyx", "opal", "pearl", "ruby", "topaz", "agate", "quartz", "garnet", "beryl")


def past(verb: str) -> str:
    return f"{verb}d" if verb.endswith("e") else f"{verb}ed"
