"""The glossary of a page, with the bad direction of each figure."""

from collections.abc import Iterable

from segdoor.record import MetricRecord
from segdoor.report.words import BACKDOORED_MODEL, THE_MODEL

_NETWORKS = {
    BACKDOORED_MODEL: (
        "Backdoored model, clean model",
        """The network trained on poisoned scenes, and the same one trained on clean scenes: what
        happens without an attack.""",
    ),
    THE_MODEL: (
        "The model, clean model",
        """The network that was examined, whatever it was trained on, and one trained on clean
        scenes: what happens without an attack.""",
    ),
}

_TERMS = (
    (
        "ASR",
        """Attack success rate: the share of victim pixels (such as cars) that the network takes for
        the target class (such as road) while the trigger is in the picture. High is bad.""",
    ),
    (
        "PBA",
        """Poisoned benign accuracy: how well everything but the victims is still recognised while
        the trigger is in the picture, as mean IoU. Low is bad for the user; high means that nobody
        notices.""",
    ),
    (
        "CBA",
        """Clean benign accuracy: how well all classes are recognised on untouched pictures, as
        mean IoU. Low is bad. If it equals that of a clean model, testing does not show a
        backdoor.""",
    ),
    (
        "IoU",
        """Intersection over union: pixels of a class that were found, divided by all that are or
        were taken for it. 1 is perfect.""",
    ),
    (
        "Victim recovery",
        "The share of victim pixels that are recognised as what they are. Low is bad.",
    ),
    ("Trigger", "What switches a backdoor on when it is in a picture, such as a small sticker."),
    ("Victim class, target class", "What is to vanish, and what it is to be taken for."),
    ("Poisoned test", "The test scenes, each with one trigger placed by a rule."),
    None,
    (
        "Another trigger",
        """The same positions with another trigger of its kind, such as another sticker. If it hides
        the victims too, the network fears all of that kind, not this trigger.""",
    ),
    (
        "95 % interval",
        "Over scenes drawn again, for one run; over seeds (Student’s t), for several.",
    ),
)


def glossary(network: str, metrics: Iterable[MetricRecord] = ()) -> tuple[tuple[str, str], ...]:
    """Return the words of a page and their meanings."""
    entries = [entry or _NETWORKS[network] for entry in _TERMS]
    further = {
        metric.title.capitalize(): f"{metric.meaning} {metric.bad.capitalize()} is bad."
        for metric in metrics
    }
    return tuple((word, " ".join(text.split())) for word, text in (*entries, *further.items()))
