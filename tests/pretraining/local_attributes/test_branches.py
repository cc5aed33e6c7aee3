"""Student, teacher and losses."""

import pytest
import torch
from torch.nn import functional

from emokit.core.errors import ConfigError
from emokit.pretraining.local_attributes.branches import losses, total
from emokit.pretraining.local_attributes.optim import make_optimizer, scheduled_rate

REAL = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
MASKED = torch.tensor([[True, True, False, False, False], [False, True, False, False, False]])
TARGETS = [torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])]


def frames(seed=0):
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed))


def test_the_teacher_equals_the_student_at_first_and_never_learns(branches):
    made = branches()
    for ours, theirs in zip(made.student.parameters(), made.teacher.parameters()):
        assert torch.equal(ours, theirs) and not theirs.requires_grad
    learning = {id(one) for group in make_optimizer(made, made.config).param_groups
                for one in group["params"]}
    assert not learning & {id(one) for one in made.teacher.parameters()}
    assert {id(one) for one in made.student.parameters()} <= learning
    made.train()
    assert made.student.training and not made.teacher.training


def test_the_teacher_follows_by_the_golden_numbers(branches):
    made, found = branches(), []
    with torch.no_grad():
        for ours, theirs in zip(made.student.parameters(), made.teacher.parameters()):
            ours.fill_(1.0), theirs.fill_(0.0)
    for _ in range(3):
        made.follow(0.9)
        found.append(next(made.teacher.parameters()).flatten()[0].item())
    assert found == pytest.approx([.1, .19, .271])


@pytest.mark.parametrize("positions", ["attention", "frames"])
def test_masked_frames_of_an_utterance_differ_because_of_their_places(positions, branches):
    made = branches(positions=positions).eval()
    masked = torch.tensor([[True] * 5 + [False]])
    seen = made.see(made.student, torch.randn(1, 1, 6, 6), torch.ones(1, 6).bool(), masked)
    assert (seen[0, 1:5] - seen[0, :4]).abs().amax(1).min() > 1e-5


@pytest.mark.parametrize("positions, apart", [("attention", False), ("frames", True)])
def test_equal_frames_are_equal_to_the_teacher_wherever_they_are(positions, apart, branches):
    made = branches(positions=positions).eval()
    states = torch.ones(1, 1, 6, 6)
    seen = made.see(made.teacher, states, torch.ones(1, 6).bool())
    assert ((seen[0, 1:] - seen[0, :1]).abs().max() > 1e-3) == apart


def test_masked_prediction_depends_on_masked_frames_alone(branches):
    made = branches(distillation="none").eval()
    student = frames()
    changed = torch.where(MASKED[:, :, None], student, frames(1))
    one, other = (losses(made, some, frames(2), REAL, MASKED, TARGETS)
                  for some in (student, changed))
    assert list(one) == ["mask"]
    assert torch.equal(one["mask"], other["mask"])
    logits = made.classifiers[0](made.norm(student[MASKED]))
    # masked frames are the first two and the seventh of the real ones
    expected = functional.cross_entropy(logits, TARGETS[0][[0, 1, 6]])
    torch.testing.assert_close(one["mask"], expected)


@pytest.mark.parametrize("form", ["frame", "utterance"])
def test_distillation_is_nothing_where_the_teacher_is_hit_up_to_scale(form, branches):
    made = branches(distillation=form).eval()
    made.predictor = torch.nn.Identity()
    student = frames().requires_grad_()
    found = losses(made, student, 3 * student.detach(), REAL, MASKED, TARGETS)["distillation"]
    found.backward()
    assert abs(found.item()) < 1e-6
    assert student.grad.abs().max() < 1e-6
    wrong = losses(made, -student, 3 * student.detach(), REAL, MASKED, TARGETS)["distillation"]
    assert wrong.item() == pytest.approx(2.0, abs=1e-5)


def test_distillation_over_clusters_is_lowest_where_the_branches_agree(branches):
    made = branches(distillation="prototypes", student_temperature=0.04).eval()
    made.predictor = torch.nn.Identity()
    made.prototypes[0].centres.copy_(torch.randn(4, 8))
    same = losses(made, frames(), frames(), REAL, MASKED, TARGETS)["distillation"]
    other = losses(made, frames(5), frames(), REAL, MASKED, TARGETS)["distillation"]
    assert float(same) < float(other)


def test_the_histogram_loss_is_the_cross_entropy_of_shares(branches):
    made = branches(histogram_weight=0.5, distillation="none", mask_weight=0.0).eval()
    student = frames()
    found = losses(made, student, frames(1), REAL, MASKED, TARGETS)
    means = torch.stack([student[0].mean(0), student[1, :3].mean(0)])
    logits = torch.log_softmax(made.histograms[0](means), 1)
    shares = torch.tensor([[.4, .2, .2, .2], [0, 1 / 3, 1 / 3, 1 / 3]])
    expected = -(shares * logits).sum(1).mean()
    torch.testing.assert_close(found["histogram"], expected)
    torch.testing.assert_close(total(found, made.config), 0.5 * expected)


def test_settings_that_mean_nothing_are_refused(settle):
    with pytest.raises(ConfigError, match="target to hard"):
        settle(clustering="offline", target="soft")
    with pytest.raises(ConfigError, match="those of the encoder's states"):
        settle(clustering="frozen", distillation="prototypes")
    with pytest.raises(ConfigError, match="weight 0"):
        settle(mask_weight=0.0, distillation="none")
    with pytest.raises(ConfigError, match="each at least 2"):
        settle(attributes=[1])
    with pytest.raises(ConfigError, match="Name one: --backbone"):
        settle(backbone=None)
    with pytest.raises(ConfigError, match="unknown setting 'widht'.*width"):
        settle("widht=3")


def test_the_rate_rises_then_falls_to_nothing(settle):
    config = settle(warmup=0.1, learning_rate=1.0)
    rates = [scheduled_rate(config, step, 100) for step in (0, 9, 10, 55, 100)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.0])
