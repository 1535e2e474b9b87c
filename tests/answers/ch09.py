"""Exercise 9.2: the policy loss of a world that pays after every look."""

import torch

NEEDS = ("slips",)


def loss(out, labels, paid=None, since=None, base=None, cut=True, add=None):
    """Make the loss, right, or wrong in one way."""
    right = (out["step_logits"].argmax(-1) == labels[:, None]).float()
    rewards = right / right.shape[1] if paid is None else paid(right)
    returns = rewards.flip(1).cumsum(1).flip(1) if since is None else since(rewards)
    values = out["values"][:, :-1] if base is None else base(out["values"])
    advantage = returns[:, : values.shape[1]] - values
    advantage = advantage.detach() if cut else advantage
    terms = -out["location_log_probs"] * advantage
    return terms.sum(1).mean() if add is None else add(terms)


def wrong(**slip):
    return lambda out, labels: loss(out, labels, **slip)


def a_step_late(rewards):  # to go, from the next look on
    return rewards.flip(1).cumsum(1).flip(1)[:, 1:]


def of_the_next(values):
    return values[:, 1:]


def backward_inside(out, labels):
    found = loss(out, labels)
    found.backward()
    return found


WRONG = {
    "nothing": (lambda out, labels: None, "so far it is NoneType"),
    "a number": (lambda out, labels: loss(out, labels).item(), "so far it is float"),
    "sign": (wrong(add=lambda x: -x.sum(1).mean()), "an optimiser minimises"),
    "mean over time": (wrong(add=torch.mean), "Sum over the choices"),
    "sum over episodes": (wrong(add=torch.sum), "take the mean"),
    "the reverse": (wrong(add=lambda x: x.sum(0).mean()), "not the reverse"),
    "always four looks": (wrong(paid=lambda right: right / 4), "where is it from?"),
    "backward inside": (backward_inside, "detached, or backward?"),
    "one for each": (wrong(add=lambda x: x.sum(1)), "A loss is one number"),
    "pays 1": (wrong(paid=lambda right: right), "pays 1/T, not 1"),
    "not to go": (wrong(since=lambda r: r), "Add up what follows"),
    "forward": (wrong(since=lambda r: r.cumsum(1)), "adds up the past"),
    "the whole": (
        wrong(since=lambda r: r.sum(1, keepdim=True).expand_as(r)),
        "leave out the past",
    ),
    "value after": (wrong(base=of_the_next), "knows where it led"),
    "reward late": (wrong(since=a_step_late), "expects the payment at its own glimpse"),
    "both late": (wrong(since=a_step_late, base=of_the_next), "one step late"),
    "no baseline": (wrong(base=lambda v: 0 * v[:, 1:]), "The baseline is missing"),
    "final": (
        wrong(paid=lambda r: r * torch.tensor([0.0, 0, 0, 0, 1])),
        "Only the last look pays",
    ),
    "not cut": (wrong(cut=False), "still in the graph"),
    "log-probs cut": (
        lambda out, labels: loss(
            out | {"location_log_probs": out["location_log_probs"].detach()}, labels
        ),
        "No gradient arrives",
    ),
    "all columns": (wrong(base=lambda v: v), "One choice fewer: [:, :-1]?"),
    "classes swapped": (
        lambda out, labels: loss(out, 1 - labels),
        "where is it from?",
    ),
}


def by_loop(out, labels):
    """Written out, one term at a time."""
    steps, values = out["step_logits"], out["values"].detach()
    (N, T), total = values.shape, 0.0
    for n in range(N):
        for t in range(T - 1):
            paid = [float(steps[n, k].argmax() == labels[n]) / T for k in range(t, T)]
            surprise = sum(paid) - values[n, t]
            total = total - out["location_log_probs"][n, t] * surprise
    return total / N


def by_matrix(out, labels):
    """Reward to go as a product with a triangle of ones."""
    right = (out["step_logits"].argmax(-1) == labels.unsqueeze(-1)).double()
    T = right.shape[1]
    returns = right @ torch.ones(T, T, dtype=torch.double).tril() / T
    with torch.no_grad():
        surprise = (returns - out["values"])[:, : T - 1].float()
    return -torch.einsum("nt,nt->", out["location_log_probs"], surprise) / len(right)


def by_past(out, labels):
    """All that is paid, less what was paid before."""
    right = (out["step_logits"].argmax(-1) == labels[:, None]) * 1.0
    paid = right / right.size(1)
    returns = paid.sum(1, keepdim=True) - paid.cumsum(1) + paid
    surprise = (returns - out["values"]).detach()[:, :-1]
    return (-surprise * out["location_log_probs"]).sum() / right.size(0)


RIGHT = {"short": loss, "loop": by_loop, "matrix": by_matrix, "past": by_past}


def answers(names):
    return WRONG, RIGHT
