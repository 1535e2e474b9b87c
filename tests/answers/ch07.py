"""Exercise 7.2: the loss of an agent that names one of A pixels."""

import torch
import torch.nn.functional as F


def picked(logits, chosen):
    """The log-probability of each choice: (N,)."""
    return logits.log_softmax(1).gather(1, chosen[:, None])[:, 0]


def crossed(logits, chosen, paid):  # (N, 1) times (N,) is (N, N)
    return -(logits.log_softmax(1).gather(1, chosen[:, None]) * paid).mean()


def own_baseline(logits, chosen, paid):
    return -(picked(logits, chosen) * (paid - paid.mean())).mean()


def by_a_number(logits, chosen, paid):
    return -(picked(logits, chosen) * paid).mean().item()


def indexed(logits, chosen, paid):  # one logit for each image, by chance (N, N)
    return -(logits.log_softmax(1)[:, chosen] * paid).mean()


def backward_inside(logits, chosen, paid):
    loss = -(picked(logits, chosen) * paid).mean()
    loss.backward()
    return loss


def sampled_again(logits, chosen, paid):
    again = logits.softmax(1).multinomial(1)[:, 0]
    return -(picked(logits.detach(), again) * paid).mean()


WRONG = {
    "nothing": (lambda *_: None, "so far it is NoneType"),
    "a number": (by_a_number, "so far it is float"),
    "one each": (lambda x, a, r: -picked(x, a) * r, "so far it is (3,)"),
    "backward inside": (backward_inside, "It stops with an error"),
    "a copy of the logits": (
        lambda x, a, r: -(picked(x.detach().requires_grad_(), a) * r).mean(),
        "A copy of the logits?",
    ),
    "rewards without their sign": (
        lambda x, a, r: -(picked(x, a) * r.abs()).mean(),
        "Choice 0 is pulled by",
    ),
    "sign": (lambda x, a, r: (picked(x, a) * r).mean(), "The sign"),
    "sum": (lambda x, a, r: -(picked(x, a) * r).sum(), "take the mean"),
    "logit": (
        lambda x, a, r: -(x.gather(1, a[:, None])[:, 0] * r).mean(),
        "take log_softmax",
    ),
    "softmax down the batch": (
        lambda x, a, r: -(x.log_softmax(0).gather(1, a[:, None])[:, 0] * r).mean(),
        "dim=1",
    ),
    "probability": (
        lambda x, a, r: -(x.softmax(1).gather(1, a[:, None])[:, 0] * r).mean(),
        "Take the logarithm",
    ),
    "every pixel": (
        lambda x, a, r: -(x.log_softmax(1) * r[:, None]).sum(1).mean(),
        "gather what was chosen",
    ),
    "every pixel, the mean": (
        lambda x, a, r: -(x.log_softmax(1) * r[:, None]).mean(),
        "gather, then the mean",
    ),
    "no reward": (lambda x, a, r: F.cross_entropy(x, a), "What was paid is missing"),
    "own baseline": (own_baseline, "Its own reward"),
    "crossed": (crossed, "mind the shapes"),
    "mean times mean": (
        lambda x, a, r: F.cross_entropy(x, a) * r.mean(),
        "mind the shapes",
    ),
    "detached": (lambda x, a, r: -(picked(x.detach(), a) * r).mean(), "do not detach"),
    "sampled again": (sampled_again, "sample again"),
    "an error": (lambda x, a, r: -(x[a, 9] * r).mean(), "It stops with an error"),
    "indexed": (indexed, "is pulled by"),
    "twice the logarithm": (
        lambda x, a, r: -(picked(x.log_softmax(1).exp(), a) * r).mean(),
        "is pulled by",
    ),
}

RIGHT = {
    "gather": lambda x, a, r: -(picked(x, a) * r).mean(),
    "cross-entropy": lambda x, a, r: (
        F.cross_entropy(x, a, reduction="none") * r
    ).mean(),
    "distribution": lambda x, a, r: (
        -(torch.distributions.Categorical(logits=x).log_prob(a) * r).mean()
    ),
    "index": lambda x, a, r: -(x.log_softmax(1)[torch.arange(len(a)), a] @ r / len(a)),
    "by hand": lambda x, a, r: (
        -((x[range(len(a)), a] - x.exp().sum(1).log()) * r).mean()
    ),
}

NEEDS = ()


def answers(names):
    return WRONG, RIGHT
