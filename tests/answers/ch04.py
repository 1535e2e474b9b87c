"""Exercise 4.2: the state of each episode after its own last look."""

import torch


def cut(state):
    """The same state without its past: a tensor, a pair of them, or None."""
    if isinstance(state, tuple):
        return tuple(vector.detach() for vector in state)
    return state if state is None else state.detach()


def steps(core, features, state=None):
    """Every state of a core, from a first one on."""
    states = []
    for look in features.unbind(1):
        state = core(look, state)
        states.append(state)
    return states


def every(core, features, state=None):
    """(B, T, D): what the heads read of every state."""
    states = steps(core, features, state)
    return torch.stack([core.hidden(each) for each in states], dim=1)


def ends(states, lengths):
    return states[torch.arange(len(lengths)), lengths - 1]


def by_mask(core, features, lengths):
    """One after another, each while it lives."""
    end = torch.zeros(len(features), features.shape[2])
    for t, state in enumerate(steps(core, features)):
        end = torch.where((t < lengths)[:, None], core.hidden(state), end)
    return end


def alive(features, lengths):
    return torch.arange(features.shape[1]) < lengths[:, None]  # (B, T)


def last_of_batch(core, x, n):
    return every(core, x)[:, -1]


def too_late(core, x, n):
    return ends(every(core, x), (n + 1).clamp(max=x.shape[1]))


def too_early(core, x, n):
    return ends(every(core, x), n - 1)


def mean(core, x, n):
    return (every(core, x) * alive(x, n)[..., None]).sum(1) / n[:, None]


def zero_looks(core, x, n):
    return every(core, x * alive(x, n)[..., None])[:, -1]


def lost(core, x, n):
    return (every(core, x) * alive(x, n)[..., None])[:, -1]


def not_reset(core, x, n):
    state, last = None, []
    for episode, length in zip(x, n, strict=True):
        state = steps(core, episode[None, :length], state)[-1]
        last.append(core.hidden(state)[0])
    return torch.stack(last)


def by_length(core, x, n):
    order = n.argsort()
    return ends(every(core, x[order]), n[order])


def of_states(core, x, n, which):
    last = []
    for episode, length in zip(x, n, strict=True):
        state = steps(core, episode[None, :length])[-1]
        last.append((which(state) if isinstance(state, tuple) else state)[0])
    return torch.stack(last)


def no_pair(core, x, n):
    return ends(torch.stack(steps(core, x), dim=1), n)


def any_cell(core, x, n):
    states = [state[0] if core.cell else state for state in steps(core, x)]
    return torch.stack([states[int(k) - 1][b] for b, k in enumerate(n)])


def not_handed_on(core, x, n):
    states = [core.hidden(core(look)) for look in x.unbind(1)]
    return ends(torch.stack(states, dim=1), n)


def detached(core, x, n):
    state, states = None, []
    for look in x.unbind(1):
        state = core(look, cut(state))
        states.append(core.hidden(state))
    return ends(torch.stack(states, dim=1), n)


def of_the_first_cut(core, x, n):
    first = cut(core(x[:, 0]))
    rest = every(core, x[:, 1:], first)
    return ends(torch.cat([core.hidden(first)[:, None], rest], dim=1), n)


def kept_on_the_core(core, x, n, keep=lambda state: state):
    states = steps(core, x, getattr(core, "_kept", None))
    core._kept = keep(states[-1])
    return ends(torch.stack([core.hidden(state) for state in states], dim=1), n)


def kept_without_its_past(core, x, n):
    return kept_on_the_core(core, x, n, keep=cut)


@torch.no_grad()
def without_a_gradient(core, x, n):
    return by_index(core, x, n)


def by_index(core, x, n):
    return ends(every(core, x), n)


own_end = "Each episode's own end?"
nothing_back = "no gradient reaches look 1"

WRONG = {
    "end of the batch": (last_of_batch, "end of the batch"),
    "a look too late": (too_late, "A look too late"),
    "a look too late, by mask": (
        lambda core, x, n: by_mask(core, x, n + 1),
        "A look too late",
    ),
    "a look too early": (too_early, "Too early"),
    "a mean": (mean, own_end),
    "zero looks": (zero_looks, "A zero look is still a step"),
    "lost": (lost, own_end),
    "not reset": (not_reset, "Not reset"),
    "sorted": (by_length, "in the order of the batch"),
    "the store": (
        lambda core, x, n: of_states(core, x, n, lambda s: s[1]),
        "Of an LSTM, h?",
    ),
    "a sum of the pair": (
        lambda core, x, n: of_states(core, x, n, lambda s: s[0] + s[1]),
        "Of an LSTM, h?",
    ),
    "a pair whenever there is a cell": (any_cell, "shape (5, 8)"),
    "a pair": (no_pair, "Its h: core.hidden(s)."),
    "nothing": (lambda core, x, n: None, "not NoneType ()"),
    "a list": (lambda core, x, n: [*by_index(core, x, n)], "not list ()"),
    "an array": (
        lambda core, x, n: by_index(core, x, n).detach().numpy(),
        "not ndarray (5, 8)",
    ),
    "every state": (lambda core, x, n: every(core, x), "not Tensor (5, 4, 8)"),
    "rows without a row": (
        lambda core, x, n: every(core, x)[:, n - 1],
        "not Tensor (5, 5, 8)",
    ),
    "twice as much": (
        lambda core, x, n: by_index(core, x, n) * 2,
        own_end,
    ),
    "beyond": (
        lambda core, x, n: ends(every(core, x), n + 1),
        "Look n: index n - 1.",
    ),
    "not handed on": (not_handed_on, "not handed on"),
    "detached": (detached, nothing_back),
    "detached at last": (
        lambda core, x, n: by_index(core, x, n).detach(),
        nothing_back,
    ),
    "without a gradient": (without_a_gradient, nothing_back),
    "the first look cut": (of_the_first_cut, nothing_back),
    "kept on the core": (kept_on_the_core, "begin with None"),
    "kept without its past": (kept_without_its_past, "begin with None"),
    "misspelt": (lambda core, x, n: torch.stak(every(core, x)), "stak"),
}


def one_by_one(core, x, n):
    last = []
    for episode, length in zip(x, n.tolist(), strict=True):
        state = None
        for look in episode[:length]:
            state = core(look, state)
        last.append(core.hidden(state))
    return torch.stack(last)


def by_gather(core, x, n):
    index = (n - 1)[:, None, None].expand(-1, 1, x.shape[2])
    return every(core, x).gather(1, index).squeeze(1)


def by_assignment(core, x, n):
    state, end = None, x.new_zeros(len(x), x.shape[2])
    for t in range(int(n.max())):
        state = core(x[:, t], state)
        ending = n == t + 1
        end[ending] = core.hidden(state)[ending]
    return end


def by_product(core, x, n):
    at_end = torch.nn.functional.one_hot(n - 1, x.shape[1]).to(x.dtype)  # (B, T)
    return torch.einsum("bt,btd->bd", at_end, every(core, x))


def sorted_and_back(core, x, n):
    order = n.argsort(descending=True)
    return ends(every(core, x[order]), n[order])[order.argsort()]


def in_place(core, x, n):
    x *= alive(x, n)[..., None]  # what lies behind the end is no part of it
    n -= 1
    return every(core, x)[torch.arange(len(n)), n]


RIGHT = {"index": by_index, "one by one": one_by_one, "mask": by_mask}
RIGHT |= {"gather": by_gather, "assignment": by_assignment, "product": by_product}
RIGHT |= {"sorted and back": sorted_and_back, "in place": in_place}

NEEDS = ()


def answers(names):
    return WRONG, RIGHT
