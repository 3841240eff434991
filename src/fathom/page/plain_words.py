"""What the page's words mean, for a reader who does not train networks."""

# In the order in which a reader meets them.
GLOSSARY: dict[str, str] = {
    "network": (
        "A program that learns from labelled crops of nuclei to give each new crop a probability. "
        "More layers can express more, and are harder to train."
    ),
    "run": "One network architecture under one training recipe, a row of params.yaml.",
    "fold": (
        "The nuclei are parted several times. Each time a network is trained on some and tested on "
        "the rest, so that every nucleus is tested once, by a network that never saw it."
    ),
    "group": (
        "What is never parted: all nuclei of a group are either learned from or tested on. "
        "Otherwise a network could recognise the slide in place of the label."
    ),
    "balanced accuracy": (
        "The mean of the share of positive nuclei called positive and the share of negative nuclei "
        "called negative. Guessing gives .5, whatever the share of the classes; 1 is perfect."
    ),
    "interval": (
        "[low, high]. With other groups of the same kind the number would have come out otherwise; "
        "in {percent} of 100 such studies an interval made like this holds the true value."
    ),
    "claimed (*)": (
        "A difference whose interval excludes 0 after correction for the number of comparisons "
        "(Holm). What is not claimed may still be there: the study cannot tell."
    ),
    "AUROC": (
        "The chance that a positive nucleus gets a higher probability than a negative one. .5 is "
        "guessing. It asks for the order alone, not for a threshold."
    ),
    "sensitivity and specificity": (
        "The share of positive nuclei that are called positive, and of negative nuclei that are "
        "called negative."
    ),
    "training accuracy": (
        "How well the nuclei that were learned from are told. High here and low on held-out nuclei "
        "is overfitting; low in both means that nothing was learned."
    ),
    "plateau": (
        "A network that gives every nucleus the same answer has a training loss of about .693. "
        "Some networks of one recipe leave this plateau and others never do: luck of the start. "
        "So the share that leaves is told, not the mean of their accuracies."
    ),
    "control": (
        "The same learning from something that should not tell the label, such as the "
        "silhouette or shuffled labels. What it scores, a network's score does not prove."
    ),
    "classifier": (
        "A statistical method on measured features (shape, brightness, texture) in place of a "
        "network: logistic regression, support vectors, random forest."
    ),
    "ladder": (
        "Changes of the recipe, one at a time, that are trained until it is decided which of them "
        "frees the network. A change that does is a cure."
    ),
    "signal by layer": (
        "How far the values inside a layer differ between nuclei. Where that falls towards 0, the "
        "layers above see the same for every nucleus."
    ),
    "linear probe": (
        "How well the label can be read from one layer by the simplest method. It shows how deep "
        "the information gets."
    ),
    "calibration": (
        "Of the nuclei that got a probability of about .7, are about 70 % positive? On the "
        "diagonal, a probability can be taken at its word."
    ),
    "ROC": (
        "Sensitivity against the share of false alarms, at every threshold. The diagonal is "
        "guessing."
    ),
}

# Of every cause of `fathom.diagnosis.causes` and of every other verdict, in one sentence.
CAUSES: dict[str, str] = {
    "pooled away": "The network shrinks its pictures so far that the last layers see only padding.",
    "input scale": "Its inputs are numbers too large for its weights.",
    "no non-linearity": "Nothing bends between its layers, so that many layers act as one.",
    "saturating non-linearity": "Its units are stuck at their limits, where they hardly learn.",
    "initial bias": "It starts with constants that drown what differs between nuclei.",
    "no signal reaches the output at initialisation": (
        "Before training, what differs between nuclei fades from layer to layer; a strong label "
        "may get through, a weak one has little to hold on to."
    ),
    "signal explodes": "At the start its numbers grow from layer to layer out of all bounds.",
    "learning rate too high": "Its first steps are too long and throw it off.",
    "learning rate too low": "Its steps are too short to get anywhere in the epochs it has.",
    "lost its signal while training": (
        "It began with differences between nuclei, and training wiped them out."
    ),
    "batch too small": "It learns from too few nuclei at a time, which is noise.",
    "schedule ran out": "Its learning rate fell before it had learned.",
    "dropout too strong": "Too many of its units are switched off at random while it learns.",
    "weight decay too strong": "Its weights are pulled to 0 harder than the nuclei pull back.",
    "classes out of balance": "It answers the common class, which pays where the other is rare.",
    "stopped too early": "It was still learning when its training ended.",
    "true degradation": "It has more layers than can be trained without skips.",
    "hangs on the seed": "Whether it learns is luck of its random start.",
    "overfitting": "It knows its training nuclei by heart and does not carry over to others.",
    "data fault": "The data have a fault that comes before any question of depth.",
    "nothing to learn": "No network does better than one that was trained on shuffled labels.",
    "no depth effect": "It is not worse than the shallower networks.",
    "no shallower network to compare with": "It trains, and no shallower network stands beside it.",
    "unexplained": "It fails, and nothing that was tried tells why.",
}


def glossary(confidence: float) -> dict[str, str]:
    """Return what each word means; `confidence` is that of the page's intervals."""
    percent = f"{100 * confidence:g}"
    return {word: said.replace("{percent}", percent) for word, said in GLOSSARY.items()}


def cause_in_words(name: str) -> str:
    """Return the plain sentence on a cause; a fault of the data is named after a colon."""
    return CAUSES[name.partition(":")[0]]
