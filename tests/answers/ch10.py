"""Exercise 10.2: the mean path of the other digits of a class."""

import torch

NEEDS = ("slips",)


def others(labels):  # (N, N): for each digit, who else is of its class
    return (labels[:, None] == labels) & ~torch.eye(len(labels), dtype=torch.bool)


def by_class(looked, labels):
    return torch.stack([looked[labels == c].mean(dim=0) for c in labels.unique()])


def own_included(looked, labels):
    return by_class(looked, labels)[labels]


def counted_too_often(looked, labels):
    made = []
    for i, label in enumerate(labels):
        same = labels == label
        made.append((looked[same].sum(dim=0) - looked[i]) / same.sum())
    return torch.stack(made)


def own_in_the_sum(looked, labels):
    made = []
    for label in labels:
        same = labels == label
        made.append(looked[same].sum(dim=0) / (same.sum() - 1))
    return torch.stack(made)


def not_divided(looked, labels):
    sums = torch.stack([looked[labels == label].sum(dim=0) for label in labels])
    return sums - looked


def others_of_all(looked, labels):
    return (looked.sum(dim=0) - looked) / (len(looked) - 1)


def other_classes(looked, labels):
    return torch.stack([looked[labels != label].mean(dim=0) for label in labels])


def next_of_the_class(looked, labels):
    made = torch.empty_like(looked)
    for c in labels.unique():
        these = (labels == c).nonzero().flatten()
        made[these] = looked[these.roll(-1)]
    return made


def in_place(looked, labels):
    for i, rest in enumerate(others(labels)):
        looked[i] = looked[rest].mean(dim=0)  # the next ones read it
    return looked


def for_the_first(looked, labels):
    return right(looked, labels)[:1].expand_as(looked)


def median(looked, labels):
    made = [looked[rest].median(dim=0).values for rest in others(labels)]
    return torch.stack(made)


def one_after_another(looked, labels):
    groups = []
    for c in labels.unique():
        these = looked[labels == c]
        groups.append((these.sum(dim=0) - these) / (len(these) - 1))
    return torch.cat(groups)


def over_the_looks(looked, labels):
    return right(looked, labels).mean(dim=1, keepdim=True).expand_as(looked)


def right(looked, labels):
    made = torch.empty_like(looked)
    for c in labels.unique():
        these = labels == c
        made[these] = (looked[these].sum(dim=0) - looked[these]) / (these.sum() - 1)
    return made


def by_loop(looked, labels):
    """Digit by digit, with a list of the others."""
    made = []
    for i in range(len(labels)):
        others = [
            looked[j] for j in range(len(labels)) if j != i and labels[j] == labels[i]
        ]
        made.append(torch.stack(others).mean(dim=0))
    return torch.stack(made)


def by_matrix(looked, labels):
    """A square of who is of whose class, without its diagonal."""
    same = others(labels).double()
    same = same / same.sum(dim=1, keepdim=True)
    return torch.einsum("ij,jkx->ikx", same, looked.double())


def by_index_add(looked, labels):
    """Sums of each class first, then each digit's share taken out."""
    A = int(labels.max()) + 1
    sums = looked.new_zeros(A, *looked.shape[1:]).index_add_(0, labels, looked)
    counts = labels.bincount(minlength=A)[labels].view(-1, 1, 1)
    return (sums[labels] - looked) / (counts - 1)


def by_one_hot(looked, labels):
    """With a table of ones, flattened places, and the mean turned round."""
    ones = torch.nn.functional.one_hot(labels).float()
    flat = looked.flatten(1)
    n = ones.sum(dim=0)[labels][:, None]
    mean = (ones.T @ flat / ones.sum(dim=0)[:, None])[labels]
    return ((n * mean - flat) / (n - 1)).view_as(looked)


WRONG = {
    "nothing": (lambda looked, labels: None, "so far it is NoneType"),
    "a list": (lambda looked, labels: right(looked, labels).tolist(), "it is list"),
    "for each class": (by_class, "give each digit its own"),
    "own included": (own_included, "leave it out"),
    "count too large": (counted_too_often, "out of the count as well"),
    "own in the sum": (own_in_the_sum, "not in the count"),
    "sum": (not_divided, "divide by how many"),
    "mean of all": (
        lambda looked, labels: looked.mean(dim=0).expand_as(looked),
        "look at the labels",
    ),
    "one path": (lambda looked, labels: looked.mean(dim=0), "a path for each digit"),
    "others of all": (others_of_all, "of whatever class"),
    "other classes": (other_classes, "take the same"),
    "one other": (next_of_the_class, "a single other digit"),
    "median": (median, "That is the median"),
    "order lost": (one_after_another, "out of order"),
    "over the looks": (over_the_looks, "mean over the looks"),
    "looks gone": (
        lambda looked, labels: right(looked, labels).mean(dim=1),
        "a path for each digit",
    ),
    "itself": (lambda looked, labels: looked, "its own path."),
    "no others": (
        lambda looked, labels: looked[labels == 9].mean(dim=0).expand_as(looked),
        "divided by zero",
    ),
    "sign": (lambda looked, labels: -right(looked, labels), "Digit 1, choice 1: "),
    "in place": (in_place, "Digit 3, choice 1: "),
    "for the first alone": (for_the_first, "Digit 2, choice 1: "),
    "truths": (lambda looked, labels: looked > 0, "not torch.bool"),
    "labels as places": (
        lambda looked, labels: looked - labels,
        "It stops with an error",
    ),
}
RIGHT = {
    "short": right,
    "loop": by_loop,
    "matrix": by_matrix,
    "index_add": by_index_add,
    "one-hot": by_one_hot,
}


def answers(names):
    return WRONG, RIGHT
