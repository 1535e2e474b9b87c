"""Exercise 4.2: the state of each episode after its own last look."""

import torch


def every(core, features):
    state, states = None, []
    for t in range(features.shape[1]):
        state = core(features[:, t], state)
        states.append(core.hidden(state))
    return torch.stack(states, dim=1), state  # (B, T, D)


def rows(lengths):
    return torch.arange(len(lengths))


def alive(features, lengths):
    return torch.arange(features.shape[1]) < lengths[:, None]  # (B, T)


def last_of_batch(core, x, n):
    return every(core, x)[0][:, -1]


def too_late(core, x, n):
    return every(core, x)[0][rows(n), n.clamp(max=x.shape[1] - 1)]


def too_early(core, x, n):
    return every(core, x)[0][rows(n), n - 2]


def mean(core, x, n):
    return (every(core, x)[0] * alive(x, n)[..., None]).sum(1) / n[:, None]


def zero_looks(core, x, n):
    return every(core, x * alive(x, n)[..., None])[0][:, -1]


def lost(core, x, n):
    return (every(core, x)[0] * alive(x, n)[..., None])[:, -1]


def not_reset(core, x, n):
    state, ends = None, []
    for b in range(len(x)):
        for t in range(int(n[b])):
            state = core(x[b, t], state)
        ends.append(core.hidden(state))
    return torch.stack(ends)


def by_length(core, x, n):
    order = n.argsort()
    return every(core, x[order])[0][rows(n), n[order] - 1]


def of_states(core, x, n, which):
    ends = []
    for b in range(len(x)):
        state = None
        for t in range(int(n[b])):
            state = core(x[b, t], state)
        ends.append(state if isinstance(state, torch.Tensor) else which(state))
    return torch.stack(ends)


def the_store(core, x, n):
    return of_states(core, x, n, lambda state: state[1])


def no_pair(core, x, n):
    state, states = None, []
    for t in range(x.shape[1]):
        state = core(x[:, t], state)
        states.append(state)
    return torch.stack(states, dim=1)[rows(n), n - 1]


def any_cell(core, x, n):
    state, states = None, []
    for t in range(x.shape[1]):
        state = core(x[:, t], state)
        states.append(state[0] if core.cell else state)
    ends = [states[int(k) - 1] for k in n]
    return torch.stack([each[b] for b, each in enumerate(ends)])


def not_handed_on(core, x, n):
    states = [core.hidden(core(look)) for look in x.unbind(1)]
    return torch.stack(states, dim=1)[rows(n), n - 1]


def detached(core, x, n):
    state, states = None, []
    for t in range(x.shape[1]):
        if isinstance(state, torch.Tensor):
            state = state.detach()
        elif state is not None:
            state = tuple(vector.detach() for vector in state)
        state = core(x[:, t], state)
        states.append(core.hidden(state))
    return torch.stack(states, dim=1)[rows(n), n - 1]


def kept_on_the_core(core, x, n):
    state, states = getattr(core, "_kept", None), []
    for t in range(x.shape[1]):
        state = core(x[:, t], state)
        states.append(core.hidden(state))
    core._kept = state
    return torch.stack(states, dim=1)[rows(n), n - 1]


def kept_without_its_past(core, x, n):
    state, states = getattr(core, "_past", None), []
    for t in range(x.shape[1]):
        state = core(x[:, t], state)
        states.append(core.hidden(state))
    cut = isinstance(state, torch.Tensor)
    core._past = state.detach() if cut else tuple(each.detach() for each in state)
    return torch.stack(states, dim=1)[rows(n), n - 1]


@torch.no_grad()
def without_a_gradient(core, x, n):
    return every(core, x)[0][rows(n), n - 1]


def of_the_first_cut(core, x, n):
    state, states = core(x[:, 0]), []
    state = state.detach() if isinstance(state, torch.Tensor) else state
    states.append(core.hidden(state))
    for t in range(1, x.shape[1]):
        state = core(x[:, t], state)
        states.append(core.hidden(state))
    return torch.stack(states, dim=1)[rows(n), n - 1]


def frozen_store(core, x, n):
    """The store runs on while h is kept; from then on h is another's."""
    state, end = None, torch.zeros(len(x), x.shape[2])
    for t in range(x.shape[1]):
        state = core(x[:, t], state)
        end = torch.where((t <= n)[:, None], core.hidden(state), end)
    return end


own_end = "Each episode's own end?"
nothing_back = "no gradient reaches look 1"

WRONG = {
    "end of the batch": (last_of_batch, "end of the batch"),
    "a look too late": (too_late, "A look too late"),
    "a look too late, by mask": (frozen_store, "A look too late"),
    "a look too early": (too_early, "Too early"),
    "a mean": (mean, own_end),
    "zero looks": (zero_looks, "A zero look is still a step"),
    "lost": (lost, own_end),
    "not reset": (not_reset, "Not reset"),
    "sorted": (by_length, "in the order of the batch"),
    "the store": (the_store, "Of an LSTM, h?"),
    "a sum of the pair": (
        lambda core, x, n: of_states(core, x, n, lambda s: s[0] + s[1]),
        "Of an LSTM, h?",
    ),
    "a pair whenever there is a cell": (any_cell, "shape (5, 8)"),
    "a pair": (no_pair, "Its h: core.hidden(s)."),
    "nothing": (lambda core, x, n: None, "not NoneType ()"),
    "a list": (lambda core, x, n: [*every(core, x)[0][rows(n), n - 1]], "not list ()"),
    "an array": (
        lambda core, x, n: every(core, x)[0][rows(n), n - 1].detach().numpy(),
        "not ndarray (5, 8)",
    ),
    "every state": (lambda core, x, n: every(core, x)[0], "not Tensor (5, 4, 8)"),
    "rows without a row": (
        lambda core, x, n: every(core, x)[0][:, n - 1],
        "not Tensor (5, 5, 8)",
    ),
    "twice as much": (
        lambda core, x, n: every(core, x)[0][rows(n), n - 1] * 2,
        own_end,
    ),
    "beyond": (
        lambda core, x, n: every(core, x)[0][rows(n), n],
        "Look n: index n - 1.",
    ),
    "not handed on": (not_handed_on, "not handed on"),
    "detached": (detached, nothing_back),
    "detached at last": (
        lambda core, x, n: every(core, x)[0][rows(n), n - 1].detach(),
        nothing_back,
    ),
    "without a gradient": (without_a_gradient, nothing_back),
    "the first look cut": (of_the_first_cut, nothing_back),
    "kept on the core": (kept_on_the_core, "begin with None"),
    "kept without its past": (kept_without_its_past, "begin with None"),
    "misspelt": (lambda core, x, n: torch.stak(every(core, x)[0]), "stak"),
}


def by_index(core, x, n):
    return every(core, x)[0][rows(n), n - 1]


def one_by_one(core, x, n):
    ends = []
    for episode, length in zip(x, n.tolist(), strict=True):
        state = None
        for look in episode[:length]:
            state = core(look, state)
        ends.append(core.hidden(state))
    return torch.stack(ends)


def by_mask(core, x, n):
    state, end = None, torch.zeros(len(x), x.shape[2])
    for t in range(x.shape[1]):
        state = core(x[:, t], state)
        end = torch.where((t < n)[:, None], core.hidden(state), end)
    return end


def by_gather(core, x, n):
    index = (n - 1)[:, None, None].expand(-1, 1, x.shape[2])
    return every(core, x)[0].gather(1, index).squeeze(1)


def by_assignment(core, x, n):
    state, end = None, x.new_zeros(len(x), x.shape[2])
    for t in range(int(n.max())):
        state = core(x[:, t], state)
        ending = n == t + 1
        end[ending] = core.hidden(state)[ending]
    return end


def by_product(core, x, n):
    at_end = torch.nn.functional.one_hot(n - 1, x.shape[1]).to(x.dtype)  # (B, T)
    return torch.einsum("bt,btd->bd", at_end, every(core, x)[0])


def sorted_and_back(core, x, n):
    order = n.argsort(descending=True)
    ends = every(core, x[order])[0][rows(n), n[order] - 1]
    return ends[order.argsort()]


def in_place(core, x, n):
    x *= alive(x, n)[..., None]  # what lies behind the end is no part of it
    n -= 1
    return every(core, x)[0][rows(n), n]


RIGHT = {"index": by_index, "one by one": one_by_one, "mask": by_mask}
RIGHT |= {"gather": by_gather, "assignment": by_assignment, "product": by_product}
RIGHT |= {"sorted and back": sorted_and_back, "in place": in_place}

NEEDS = ()


def answers(names):
    return WRONG, RIGHT
