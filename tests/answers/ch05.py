"""Exercise 5.2: the log-probability of stopping, or of going on."""

import math

import torch
import torch.nn.functional as F

P = torch.sigmoid


def returns_list(x, s):
    return F.logsigmoid(torch.where(s, x, -x)).tolist()


WRONG = {
    "nothing": (lambda x, s: None, "this is NoneType"),
    "a list": (returns_list, "this is list"),
    "probability": (lambda x, s: torch.where(s, P(x), 1 - P(x)), "Take the logarithm"),
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
        "-0.183, not -0.127",
    ),
    "minus": (
        lambda x, s: torch.where(s, F.logsigmoid(x), -F.logsigmoid(x)),
        "To go on is no minus",
    ),
    "one less": (
        lambda x, s: torch.where(s, F.logsigmoid(x), 1 - F.logsigmoid(x)),
        "For the logit 0.0 and stop = False",
    ),
    "detached": (
        lambda x, s: F.logsigmoid(torch.where(s, x, -x)).detach(),
        "No finite gradient",
    ),
    "NaN behind": (
        lambda x, s: torch.where(
            x.abs() < 50,
            torch.where(s, P(x), P(-x)).log(),
            torch.where(s, x, -x).clamp(max=0),
        ),
        "No finite gradient",
    ),
    "naive": (lambda x, s: torch.where(s, P(x), 1 - P(x)).log(), "100.0"),
    "epsilon": (lambda x, s: (torch.where(s, P(x), 1 - P(x)) + 1e-8).log(), "100.0"),
    "clamped": (
        lambda x, s: torch.where(s, P(x), 1 - P(x)).clamp(min=1e-6).log(),
        "100.0",
    ),
    "averaged": (
        lambda x, s: F.logsigmoid(torch.where(s, x, -x)).mean(),
        "one number a choice",
    ),
    "summed": (
        lambda x, s: F.logsigmoid(torch.where(s, x, -x)).sum(-1),
        "one number a choice",
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
