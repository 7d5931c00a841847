"""The PyTorch column of the phrasebook, on toys whose answer is known; needs PyTorch.

As for Keras, each `check_…` takes what the column defines, and mistakes have to be noticed.
"""

import copy
import tempfile
from pathlib import Path

import pytest

from tlcourse.interview import phrasebook

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


@pytest.fixture(autouse=True)
def _seeded_torch():
    torch.manual_seed(0)


class Backbone(nn.Sequential):
    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
        self.block2 = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(inplace=True))


class Classifier(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.backbone = Backbone()
        self.fc = nn.Linear(5, classes)

    def forward(self, x):
        return self.fc(torch.flatten(self.backbone(x), 1))


def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 4, generator=generator), torch.randn(8, 2, generator=generator)


def kept(model):
    return copy.deepcopy(model.state_dict())


def moved(before, model):
    return {key for key, now in model.state_dict().items() if not torch.equal(before[key], now)}


def step(model, rate=0.1):
    x, y = data()
    optimizer = torch.optim.SGD(model.parameters(), rate)
    F.mse_loss(model(x), y).backward()
    optimizer.step()
    optimizer.zero_grad()


HEAD = {"fc.weight", "fc.bias"}


def check_freeze(freeze):
    model = Classifier()
    model.train()
    freeze(model.backbone)
    before = kept(model)
    step(model)
    assert moved(before, model) == HEAD
    assert all(p.grad is None for p in model.backbone.parameters())
    x, _ = data()
    assert torch.equal(model.backbone(x), model.backbone(x)), "Dropout has to be off."
    # train() undoes half of it: the statistics move again, without any gradient.
    model.train()
    before = kept(model)
    step(model)
    now = moved(before, model)
    assert "backbone.block1.1.running_mean" in now and "backbone.block1.0.weight" not in now
    # A gradient from before still moves what was frozen since.
    late, (x, y) = Classifier(), data()
    F.mse_loss(late(x), y).backward()
    freeze(late.backbone)
    before = kept(late)
    torch.optim.SGD(late.parameters(), 0.1).step()
    assert "backbone.block2.0.weight" in moved(before, late)


def check_frozen_batchnorm(frozen_batchnorm):
    model = Classifier()
    model.train()
    frozen_batchnorm(model)
    before = kept(model)
    step(model)
    blocks = {f"backbone.{block}.0.{part}" for block in ("block1", "block2")
              for part in ("weight", "bias")}  # fmt: skip
    assert moved(before, model) == HEAD | blocks
    model.train()
    step(model)
    assert "backbone.block1.1.running_mean" in moved(before, model)
    # Conventions: what momentum weighs, epsilon, and the unbiased variance.
    norm, (x, _) = nn.BatchNorm1d(4), data()
    norm(x)
    assert norm.momentum == 0.1 and norm.eps == 1e-5
    assert torch.allclose(norm.running_mean, 0.1 * x.mean(0))
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * x.var(0, correction=1))


def check_unfreeze_last_block(unfreeze_last_block):
    model = Classifier()
    assert unfreeze_last_block(model.backbone, "block2") == 2
    model.eval()
    before = kept(model)
    step(model)
    assert moved(before, model) == HEAD | {"backbone.block2.0.weight", "backbone.block2.0.bias"}
    with pytest.raises(AttributeError):
        unfreeze_last_block(model.backbone, "blokc2")
    # An optimizer made before does not know the block, until it is told.
    late = Classifier()
    late.backbone.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in late.parameters() if p.requires_grad], 0.1)
    unfreeze_last_block(late.backbone, "block2")
    before = kept(late)
    x, y = data()

    def once():
        F.mse_loss(late.eval()(x), y).backward()
        optimizer.step()

    once()
    assert moved(before, late) == HEAD
    optimizer.add_param_group(
        {"params": [p for p in late.backbone.parameters() if p.requires_grad]}
    )
    once()
    assert "backbone.block2.0.weight" in moved(before, late)


def check_layer_wise_rates(layer_wise_rates):
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)))
    optimizer = layer_wise_rates(list(model[1:]), 0.1, factor=2.0)
    before = [part.bias.detach().clone() for part in model]
    F.mse_loss(model(data()[0]), torch.ones(8, 4)).backward()
    optimizer.step()
    lengths = [float((p.bias - b).detach().abs().max()) for p, b in zip(model, before, strict=True)]
    assert lengths == pytest.approx([0.0, 0.025, 0.05, 0.1], rel=1e-2)
    with pytest.raises(ValueError):
        layer_wise_rates([model[0], model], 0.1)


def check_replace_head(replace_head):
    model, (x, _) = Classifier(10).eval(), data()
    model.requires_grad_(False)
    features = model.backbone(x)
    early = torch.optim.SGD(model.parameters(), 0.1)
    new = replace_head(model, 7)
    assert new is model and new(x).shape == (8, 7)
    assert torch.equal(new.backbone(x), features)
    assert {n for n, p in new.named_parameters() if p.requires_grad} == HEAD
    known = {id(p) for group in early.param_groups for p in group["params"]}
    assert id(new.fc.weight) not in known
    # Children in a row leave out what forward does between them.
    images = torch.randn(2, 3, 8, 8)

    class Pictures(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 5, 3), nn.Linear(5, 2)

        def forward(self, x):
            return self.fc(self.conv(x).mean((2, 3)))

    cut = nn.Sequential(*list(Pictures().children())[:-1])
    assert cut(images).ndim == 4


def check_feature_hook(feature_hook):
    model, (x, _) = Classifier().eval(), data()
    found = feature_hook(model, "backbone.block2.1", x)
    assert float(found.min()) < 0, "The ReLU that follows has changed it in place."
    assert torch.allclose(model.fc(found.relu()), model(x))
    assert not found.requires_grad
    assert not model.backbone.block2[1]._forward_hooks, "The hook has to be removed."
    # A module that is used twice fires twice.
    twice, calls = nn.Linear(4, 4), []
    twice.register_forward_hook(lambda *_: calls.append(1))
    twice(twice(x))
    assert len(calls) == 2


def check_weights_without_head(weights_without_head):
    old, new = Classifier(), Classifier(3)
    step(old)
    head = new.fc.weight.detach().clone()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "body.pt"
        weights_without_head(old, new, path)
        for key, value in old.state_dict().items():
            if not key.startswith("fc."):
                assert torch.equal(new.state_dict()[key], value), key
        assert torch.equal(new.fc.weight, head)
        # Another prefix: strict=False alone loads nothing and says nothing.
        fresh = nn.DataParallel(Classifier(3))
        before = kept(fresh)
        fresh.load_state_dict(torch.load(path, weights_only=True), strict=False)
        assert moved(before, fresh) == set()
        with pytest.raises(ValueError):
            weights_without_head(old, fresh, path)
    assert "backbone.block1.1.running_mean" in old.state_dict()
    assert "backbone.block1.1.running_mean" not in dict(old.named_parameters())


def check_preprocessing_inside(preprocessing_inside):
    mean, std = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
    pixels = torch.randint(0, 256, (2, 3, 5, 5)).float()
    base = nn.Conv2d(3, 2, 2)
    model = preprocessing_inside(base, mean, std)
    want = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert torch.allclose(model(pixels), base(want), atol=1e-4)
    assert sum("mean" in key or "std" in key for key in model.state_dict()) == 2
    assert next(model.double().buffers()).dtype == torch.float64, (
        "A buffer goes where the model goes."
    )


def check_lora(lora):
    linear, (x, _) = nn.Linear(4, 3), data()
    before, kernel, bias = linear(x), linear.weight.detach().clone(), linear.bias.detach().clone()
    layer = lora(linear, 2, 6.0)
    assert torch.equal(layer(x), before)
    assert sum(p.numel() for p in layer.parameters() if p.requires_grad) == 2 * (4 + 3)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    F.mse_loss(layer(x), torch.ones(8, 3)).backward()
    assert float(layer.a.grad.abs().max()) == 0 and float(layer.b.grad.abs().max()) > 0
    optimizer.step()
    assert torch.equal(linear.weight, kernel) and torch.equal(linear.bias, bias)
    merged = kernel + 6.0 / 2 * layer.b @ layer.a
    assert torch.allclose(layer(x), F.linear(x, merged, bias), atol=1e-6)


def check_distillation_loss(distillation_loss):
    student, teacher = (torch.randn(6, 5, requires_grad=True) for _ in range(2))
    for temperature in (1.0, 3.0):
        p, q = ((logits / temperature).softmax(-1) for logits in (teacher, student))
        want = temperature**2 * (p * (p / q).log()).sum(-1).mean()
        found = distillation_loss(student, teacher, temperature)
        assert float(found) == pytest.approx(float(want), rel=1e-4)
    found.backward()
    assert teacher.grad is None and float(student.grad.abs().max()) > 0
    same = teacher.detach().clone().requires_grad_()
    loss = distillation_loss(same, teacher)
    loss.backward()
    assert float(loss) == pytest.approx(0, abs=1e-6)
    assert float(same.grad.abs().max()) == pytest.approx(0, abs=1e-6)
    # The default reduction divides by the number of classes, too.
    logs = student.log_softmax(-1), teacher.log_softmax(-1)
    with pytest.warns(UserWarning):
        default = F.kl_div(*logs, log_target=True)
    by_row = F.kl_div(*logs, log_target=True, reduction="batchmean")
    assert float(by_row / default) == pytest.approx(5)


def check_gradient_reversal(gradient_reversal):
    x = torch.ones(1, requires_grad=True)
    out = 3 * gradient_reversal(x, 0.5)
    assert float(out) == 3
    out.backward()
    assert float(x.grad) == -1.5


def check_l2_sp(l2_sp):
    model = nn.Linear(4, 3)
    penalty = l2_sp(model, 2.0)
    start = kept(model)
    assert float(penalty()) == 0
    with torch.no_grad():
        for p in model.parameters():
            p += 0.5
    found = penalty()
    assert float(found) == pytest.approx(0.5 * 2.0 * 0.25 * 15)
    found.backward()
    assert torch.allclose(model.weight.grad, torch.full((3, 4), 2.0 * 0.5))
    assert torch.allclose(model.weight - 0.5, start["weight"])


def check_ewc(ewc):
    model, (x, _) = nn.Linear(4, 2), data()
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    penalty = ewc(model, x, 4.0)
    assert float(penalty()) == 0
    with torch.no_grad():
        model.weight += 1
    penalty().backward()
    # Whatever label is drawn, the gradient by a logit is a half up or down.
    assert torch.allclose(model.weight.grad, 4.0 * 0.25 * (x**2).mean(0).expand(2, 4))


def check_weighted_loss(weighted_loss):
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 0, 1])
    weights = torch.tensor([1.0, 2.0, 5.0])
    for smoothing in (0.0, 0.3):
        target = (1 - smoothing) * F.one_hot(labels, 3) + smoothing / 3
        each = -(target * logits.log_softmax(-1)).sum(-1)
        found = weighted_loss(logits, labels, weights, smoothing)
        assert float(found) == pytest.approx(float((weights[labels] * each).mean()), rel=1e-5)
    # PyTorch's own weight divides by the sum of weights: equal weights do nothing.
    twos = torch.full((3,), 2.0)
    plain = F.cross_entropy(logits, labels)
    assert float(F.cross_entropy(logits, labels, weight=twos)) == pytest.approx(float(plain))
    assert float(weighted_loss(logits, labels, twos)) == pytest.approx(2 * float(plain))
    # With smoothing it weighs every class of the target.
    smooth = F.cross_entropy(logits, labels, weights, label_smoothing=0.3, reduction="none")
    by_class = -(weights * target * logits.log_softmax(-1)).sum(-1)
    assert torch.allclose(smooth, by_class)


def check_warmup_cosine(warmup_cosine):
    optimizer = torch.optim.SGD([
        {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.4},
        {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.04},
    ])  # fmt: skip
    scheduler = warmup_cosine(optimizer, 10, 110)
    rates = []
    for _ in range(201):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    found = [rates[n][0] for n in (0, 5, 10, 60, 110, 200)]
    assert found == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0, 0.0], abs=1e-6)
    assert all(low == pytest.approx(high / 10) for high, low in rates)


def check_clip_and_accumulate(clip_and_accumulate):
    x, y = data()
    y = 100 * y
    small = [(x[n : n + 2], y[n : n + 2]) for n in (0, 2, 4, 6)]

    def move(norm, batches, steps):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        before = kept(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        clip_and_accumulate(model, F.mse_loss, batches, optimizer, steps, norm)
        return torch.cat([(p - before[n]).flatten() for n, p in model.named_parameters()]).detach()

    whole = move(1e9, [(x, y)], 1)
    assert float(whole.norm()) > 1
    assert torch.allclose(move(1e9, small, 4), whole, rtol=1e-3)
    assert torch.allclose(move(1.0, small, 4), 0.1 * whole / whole.norm(), rtol=1e-3, atol=1e-6)
    assert not move(1e9, small[:3], 4).any(), "It moves with the fourth batch only."


def check_mixed_precision(mixed_precision):
    torch.manual_seed(0)
    model, (x, y) = nn.Linear(4, 2), data()
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))

    def loss(said, wanted):
        return F.mse_loss(said.float(), wanted)

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = kept(model)
    mixed_precision(model, loss, optimizer, scaler, x, 10 * y, norm=1.0)
    assert seen == [torch.float16] and model.weight.dtype == torch.float32
    length = torch.cat([(p - before[n]).flatten() for n, p in model.named_parameters()]).norm()
    assert float(length) == pytest.approx(0.1, rel=1e-2), "The norm is that of unscaled gradients."
    before = kept(model)
    mixed_precision(model, loss, optimizer, scaler, 1e5 * x, y)
    assert moved(before, model) == set(), "float16 ends at 65,504, so that step is left out."
    assert scaler.get_scale() == 512.0


def check_interpolate(interpolate):
    model = Classifier()
    before, alias = kept(model), model.state_dict()
    model.train()
    step(model)
    after = kept(model)
    assert moved(before, model) and all(torch.equal(alias[key], after[key]) for key in after)
    for share in (0.0, 1.0, 0.5, 0.25):
        model.load_state_dict(after)
        interpolate(model, before, share)
        for key, now in model.state_dict().items():
            if now.is_floating_point():
                assert torch.allclose(now, (1 - share) * before[key] + share * after[key]), key
    assert int(model.state_dict()["backbone.block1.1.num_batches_tracked"]) == 1
    # EMA is a model of its own, which copies statistics.
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model.load_state_dict(before)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    average.update_parameters(model)
    model.load_state_dict(after)
    average.update_parameters(model)
    found = average.module.state_dict()
    name = "backbone.block1.1.running_mean"
    assert torch.allclose(found["fc.weight"], (before["fc.weight"] + after["fc.weight"]) / 2)
    assert torch.equal(found[name], after[name])


def check_mc_dropout(mc_dropout):
    model, (x, _) = Classifier(3), data()
    before = kept(model)
    found = mc_dropout(model, x, passes=3)
    assert found.shape == (3, 8, 3) and torch.allclose(found.sum(-1), torch.ones(3, 8))
    assert float(found.std(0).max()) > 1e-3, "All passes agree: dropout is off."
    assert moved(before, model) == set()
    assert torch.equal(model(x), model(x)), "Afterwards dropout has to be off."
    # The function is on whatever the mode is, unless it is told.
    ones = torch.ones(1000)
    assert (F.dropout(ones) == 0).any() and not (F.dropout(ones, training=False) == 0).any()


def check_adapt_batchnorm(adapt_batchnorm):
    model = Classifier().eval()
    model.requires_grad_(False)
    before = kept(model)
    batches = [torch.randn(16, 4) * 2 + 5 for _ in range(3)]
    adapt_batchnorm(model, batches)
    norm, first = model.backbone.block1[1], model.backbone.block1[0]
    seen = [first(batch) for batch in batches]
    assert torch.allclose(
        norm.running_mean, torch.stack([s.mean(0) for s in seen]).mean(0), atol=1e-4
    )
    assert torch.allclose(
        norm.running_var, torch.stack([s.var(0) for s in seen]).mean(0), rtol=1e-3
    )
    # Dropout, which lies between the two norms, was off.
    normed = [F.batch_norm(s, None, None, norm.weight, norm.bias, True) for s in seen]
    second = [model.backbone.block2[0](n).mean(0) for n in normed]
    assert torch.allclose(
        model.backbone.block2[1].running_mean, torch.stack(second).mean(0), atol=1e-4
    )
    assert {key.split(".")[-1] for key in moved(before, model)} == {
        "running_mean", "running_var", "num_batches_tracked"
    }  # fmt: skip
    assert norm.momentum == 0.1 and not norm.training


CHECKS = {name: check for name, check in globals().items() if name.startswith("check_")}
# One mistake, or more, that people make in each move.
MISTAKES = {
    "freeze": [("backbone.eval()", "pass"), ("backbone.requires_grad_(False)", "pass")],
    "frozen-batchnorm": [("module.eval()", "pass"), ("module.requires_grad_(False)", "pass")],
    "unfreeze-last-block": [("backbone.requires_grad_(False)", "pass"),
                            ("not isinstance(module, _BatchNorm)", "True")],
    "layer-wise-rates": [("reversed(blocks)", "blocks")],
    "replace-head": [("nn.Linear(model.fc.in_features, classes)",
                      "nn.Sequential(model.fc, nn.Linear(model.fc.out_features, classes))")],
    "feature-hook": [(".detach().clone()", ".detach()"), ("handle.remove()", "pass")],
    "weights-without-head": [("new.load_state_dict(body, strict=False)",
                              "old.load_state_dict(body, strict=False)")],
    "preprocessing-inside": [("/ self.std", "/ self.std**2"),
                             ("self.register_buffer(name, values.reshape(1, -1, 1, 1))",
                              "setattr(self, name, values.reshape(1, -1, 1, 1))")],
    "lora": [("alpha / rank", "alpha"), (".requires_grad_(False)", ""),
             ("torch.zeros(", "torch.randn(")],
    "distillation-loss": [("temperature**2 * ", ""), (".detach()", ""),
                          ("F.kl_div(student, teacher,", "F.kl_div(teacher, student,")],
    "gradient-reversal": [("-context.strength", "context.strength"),
                          ("-context.strength * gradient", "-gradient")],
    "l2-sp": [("0.5 * ", ""), ("(p - s).square()", "p.square()")],
    "ewc": [("images:  # one at a time: square, then average", "images.mean(0, keepdim=True):"),
            ("0.5 * strength", "strength"), ("p.detach().clone()", "p")],
    "weighted-loss": [('reduction="none",', "weight=weights,"),
                      ("label_smoothing=smoothing", "label_smoothing=0.0")],
    "warmup-cosine": [("(total - warmup)", "total"), ("min((step", "max((step")],
    "clip-and-accumulate": [(" / steps", ""), ("if number % steps == 0:", "if True:")],
    "mixed-precision": [("scaler.unscale_(optimizer)", "pass"),
                        ("scaler.step(optimizer)", "optimizer.step()")],
    "interpolate": [("torch.lerp(before[key], value, share)",
                     "torch.lerp(value, before[key], share)")],
    "mc-dropout": [("module.train()", "pass"), ("model.eval()\n    for", "model.train()\n    for")],
    "adapt-batchnorm": [("module.momentum = None", "pass"), ("module.train()", "pass"),
                        ("    model.eval()\n    norms", "    model.train()\n    norms")],
}  # fmt: skip


def made(name, old="", new=""):
    """What a move's column defines, perhaps with a mistake."""
    move = phrasebook.load()[name]
    assert old in move.pytorch, f"{name} no longer holds {old!r}"
    space = {"__name__": name}
    code = move.pytorch.replace(old, new) if old else move.pytorch
    exec(compile(code, name, "exec"), space)
    return space[move.function]


def check(name, function):
    CHECKS[f"check_{name.replace('-', '_')}"](function)


@pytest.mark.parametrize("name", phrasebook.load())
def test_the_column_does_what_it_says(name):
    check(name, made(name))


@pytest.mark.parametrize(
    "name, old, new", [(name, *mistake) for name, all_ in MISTAKES.items() for mistake in all_]
)
def test_a_mistake_is_noticed(name, old, new):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(name, made(name, old, new))


def test_every_move_has_mistakes():
    assert set(MISTAKES) == set(phrasebook.load())
