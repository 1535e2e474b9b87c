"""Exercise 5.2: the log-probability of stopping, or of going on."""

import math

import torch
import torch.nn.functional as F

P = torch.sigmoid


def returns_list(x, s):
    return F.logsigmoid(torch.where(s, x, -x)).tolist()


WRONG = {
    "nothing": (lambda x, s: None, "Return a torch tensor"),
    "a list": (returns_list, "so far it is list"),
    "probability": (lambda x, s: torch.where(s, P(x), 1 - P(x)), "take the logarithm"),
    "sign": (lambda x, s: F.softplus(torch.where(s, -x, x)), "at most 0"),
    "cross-entropy": (
        lambda x, s: F.binary_cross_entropy_with_logits(x, s.float(), reduction="none"),
        "at most 0",
    ),
    "always stop": (lambda x, s: F.logsigmoid(x), "chance to stop, whatever"),
    "always go on": (lambda x, s: F.logsigmoid(-x), "chance to go on, whatever"),
    "exchanged": (lambda x, s: F.logsigmoid(torch.where(s, -x, x)), "exchanged"),
    "half": (lambda x, s: s * F.logsigmoid(x), "0 where it went on"),
    "no sigmoid": (lambda x, s: torch.where(s, x, 1 - x).log(), "take its sigmoid"),
    "base 2": (
        lambda x, s: F.logsigmoid(torch.where(s, x, -x)) / math.log(2),
        "base 2",
    ),
    "naive": (lambda x, s: torch.where(s, P(x), 1 - P(x)).log(), "At ±100"),
    "epsilon": (lambda x, s: (torch.where(s, P(x), 1 - P(x)) + 1e-8).log(), "At ±100"),
    "clamped": (
        lambda x, s: torch.where(s, P(x), 1 - P(x)).clamp(min=1e-6).log(),
        "At ±100",
    ),
    "averaged": (
        lambda x, s: F.logsigmoid(torch.where(s, x, -x)).mean(),
        "One number a choice",
    ),
    "summed": (
        lambda x, s: F.logsigmoid(torch.where(s, x, -x)).sum(-1),
        "One number a choice",
    ),
    "if": (
        lambda x, s: F.logsigmoid(x) if s else F.logsigmoid(-x),
        "It stops with an error",
    ),
    "softmax over the batch": (lambda x, s: x.log_softmax(-1), "For the logit 2.0"),
}


def by_cases(logit, stop):
    out = torch.empty_like(logit)
    out[stop] = -torch.log1p(torch.exp(-logit[stop].double())).float()
    out[~stop] = -F.softplus(logit[~stop])
    return out


def by_softmax(logit, stop):
    both = torch.stack([torch.zeros_like(logit), logit], dim=-1).log_softmax(-1)
    return both.gather(-1, stop.long()[..., None]).squeeze(-1)


RIGHT = {
    "logsigmoid": lambda x, s: F.logsigmoid(torch.where(s, x, -x)),
    "softmax of two": by_softmax,
    "distribution": lambda x, s: torch.distributions.Bernoulli(logits=x).log_prob(
        s.float()
    ),
    "cross-entropy": lambda x, s: (
        -F.binary_cross_entropy_with_logits(x, s.float(), reduction="none")
    ),
    "cases": by_cases,
    "subtract": lambda x, s: s * x - F.softplus(x),
}

NEEDS = ()


def answers(names):
    return WRONG, RIGHT
