"""Exercise 8.2: the best of the other rollouts, as a baseline."""

import torch

INF = float("inf")


def grouped(rule):
    """Turn a rule for rows (B, M, K) into an answer for (N, K)."""

    def answer(returns, num_rollouts):
        rows = returns.unflatten(0, (-1, num_rollouts))
        return rule(rows).expand_as(rows).flatten(0, 1)

    return answer


def best(rows, fill=-INF, largest=True):
    own = torch.eye(rows.shape[1], dtype=torch.bool)[:, :, None]
    others = torch.where(own, torch.tensor(fill), rows[:, None])  # (B, M, M, K)
    return others.amax(dim=2) if largest else others.amin(dim=2)


def mean(rows):
    return (rows.sum(dim=1, keepdim=True) - rows) / (rows.shape[1] - 1)


def by_value(rows):
    top = rows.amax(dim=1, keepdim=True)
    rest = torch.where(rows == top, -INF, rows).amax(dim=1, keepdim=True)
    return torch.where(rows == top, rest, top)


def across(returns, num_rollouts):
    rows = returns.unflatten(0, (num_rollouts, -1)).transpose(0, 1)  # the other layout
    return best(rows).transpose(0, 1).flatten(0, 1)


def two_images(returns, num_rollouts):
    return best(returns.unflatten(0, (2, -1))).flatten(0, 1)


def neighbours(rows):  # right for three rollouts and no more
    return torch.maximum(rows.roll(1, dims=1), rows.roll(-1, dims=1))


def whole_batch(returns, num_rollouts):
    return best(returns[None])[0]


def three(returns, num_rollouts):
    rows = returns[: len(returns) // 3 * 3].unflatten(0, (-1, 3))
    return torch.cat([best(rows).flatten(0, 1), returns[len(rows) * 3 :]])


def not_flat(returns, num_rollouts):
    return best(returns.unflatten(0, (-1, num_rollouts)))


def neighbour(rows):
    return rows.roll(-1, dims=1)


WRONG = {
    "always two images": (two_images, "With M = 6 it is wrong"),
    "two neighbours": (grouped(neighbours), "With M = 6 it is wrong"),
    "a fill that is not small enough": (
        grouped(lambda rows: best(rows, fill=-10.0)),
        "You get",
    ),
    "nothing": (lambda r, m: None, "Return a tensor"),
    "a list": (lambda r, m: r.tolist(), "Return a tensor"),
    "not flattened": (not_flat, "flatten(0, 1)"),
    "one an image": (
        lambda r, m: r.unflatten(0, (-1, m)).amax(dim=1),
        "like the returns",
    ),
    "an error": (lambda r, m: r[99], "It stops with an error"),
    "its own, too": (
        grouped(lambda r: r.amax(dim=1, keepdim=True)),
        "Its own return",
    ),
    "mean": (grouped(mean), "not the mean"),
    "worst": (grouped(lambda r: best(r, INF, largest=False)), "worst of the others"),
    "zero for its own": (grouped(lambda r: best(r, 0.0)), "0 may be the largest"),
    "the second best": (
        grouped(lambda r: r.topk(2, dim=1).values[:, 1:]),
        "Only the best one gets",
    ),
    "by value": (grouped(by_value), "leave out a rollout"),
    "the other layout": (across, "side by side"),
    "the whole batch": (whole_batch, "Other images"),
    "one for all choices": (
        grouped(lambda r: best(r).amax(dim=2, keepdim=True)),
        "a best of its own",
    ),
    "always three": (three, "use num_rollouts"),
    "the next rollout": (grouped(neighbour), "You get"),
    "the advantage": (
        lambda r, m: r - grouped(best)(r, m),
        "You get",
    ),
}


def by_loop(returns, num_rollouts):
    out = returns.clone()
    for n in range(len(returns)):
        first = n // num_rollouts * num_rollouts
        others = [m for m in range(first, first + num_rollouts) if m != n]
        out[n] = returns[others].max(dim=0).values
    return out


def by_two_best(returns, num_rollouts):
    rows = returns.unflatten(0, (-1, num_rollouts))
    top, where = rows.topk(2, dim=1)  # (B, 2, K)
    number = torch.arange(num_rollouts)[None, :, None]
    mine = number == where[:, :1]
    return torch.where(mine, top[:, 1:], top[:, :1]).flatten(0, 1)


def by_prefix(returns, num_rollouts):
    rows = returns.view(-1, num_rollouts, returns.shape[1])
    out = []
    for m in range(num_rollouts):
        out.append(torch.cat([rows[:, :m], rows[:, m + 1 :]], dim=1).amax(dim=1))
    return torch.stack(out, dim=1).reshape(returns.shape)


RIGHT = {
    "mask": grouped(best),
    "loop": by_loop,
    "two best": by_two_best,
    "without one": by_prefix,
    "double": lambda r, m: grouped(best)(r.double(), m),
}

NEEDS = ()


def answers(names):
    return WRONG, RIGHT
