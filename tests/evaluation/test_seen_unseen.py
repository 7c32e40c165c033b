"""Scores of seen and unseen classes by hand, tables, and mistakes."""

import pytest
import torch

from rein_seg.datasets.files.label_files import read_label
from rein_seg.errors import UserError
from rein_seg.evaluation import SeenUnseenIoU, domain_table

CLASSES = ('road', 'car', 'sky', 'sea')


def metric(**options):
    result = SeenUnseenIoU(**{'unseen': ['sky', 'sea'], **options})
    result.dataset_meta = dict(classes=CLASSES)
    return result


def sample(domain, label, pred):
    maps = dict(
        gt_sem_seg=dict(data=torch.tensor([[label]], dtype=torch.uint8)),
        pred_sem_seg=dict(data=torch.tensor([[pred]])),
    )
    return dict(domain=domain, img_path=f'{domain}.png', **maps)


def scores_of(m, *samples):
    m.process(None, samples)
    m.evaluate(len(samples))
    return m.report


def test_scores_by_hand():
    # road 2 of 3, car 0 of 1 (labelled, taken for road), sky 1 of 2, sea 0 of 1 (predicted alone)
    night = sample('night', [0, 0, 1, 2, 2, 255], [0, 0, 0, 2, 3, 3])
    # road 1 of 1; car is neither labelled nor predicted; sky 1 of 1; sea neither
    clear = sample('clear', [0, 2], [0, 2])
    report = scores_of(metric(source='clear'), clear, night)
    found = report['domains']['night']
    assert found['IoU'] == pytest.approx({'road': 200 / 3, 'car': 0, 'sky': 50, 'sea': 0})
    assert [found[key] for key in ('S', 'U', 'pAcc', 'mIoU')] == pytest.approx(
        [100 / 3, 25, 60, 350 / 12]
    )
    assert found['hIoU'] == pytest.approx(2 * (100 / 3) * 25 / (100 / 3 + 25))
    other = report['domains']['clear']
    assert other['IoU']['car'] is None
    assert (other['S'], other['U'], other['hIoU']) == (100, 100, 100)
    assert report['mean_over_targets']['hIoU'] == found['hIoU']
    assert 'aAcc' not in found


def test_no_class_of_a_group_leaves_its_scores_empty():
    report = scores_of(metric(), sample('a', [0, 1], [0, 1]))
    assert [report['domains']['a'][key] for key in ('S', 'U', 'hIoU')] == [100, None, None]
    assert report['mean_over_targets']['hIoU'] is None
    assert '100.00' in domain_table(report)


def test_both_zero():
    report = scores_of(metric(), sample('a', [0, 2], [2, 0]))
    assert [report['domains']['a'][key] for key in ('S', 'U', 'hIoU')] == [0, 0, 0]


def test_the_table_has_the_columns_in_per_cent():
    m = metric(source='a', protocol='toy')
    report = scores_of(m, sample('a', [0, 2], [0, 2]), sample('b', [0, 2], [0, 0]))
    title, head, _, source, target, _, mean = domain_table(report).splitlines()
    assert title == 'protocol toy, scores in %'
    assert head.split() == ['domain', 'role', 'images', 'hIoU', 'S', 'U', 'pAcc', 'mIoU']
    assert source.split()[3:] == ['100.00'] * 5
    assert target.split()[3:] == mean.split()[3:] == ['0.00', '50.00', '0.00', '50.00', '25.00']


def test_predictions_of_a_model_of_seen_classes_map_back(tmp_path):
    # seen are road 0 and sea 1
    m = metric(unseen=['car', 'sky'], compact=True, output_dir=str(tmp_path))
    report = scores_of(m, sample('a', [0, 1, 3, 3], [0, 1, 1, 0]))
    found = report['domains']['a']
    assert found['IoU'] == pytest.approx({'road': 50, 'car': 0, 'sky': None, 'sea': 100 / 3})
    assert (found['U'], found['hIoU']) == (0, 0)
    assert read_label(str(tmp_path / 'a/a.png')).tolist() == [[0, 3, 3, 0]]
    assert m.details['a'].confusion[3].tolist() == [1, 0, 0, 1]
    with pytest.raises(UserError, match='holds the class 2, expected 0 to 1'):
        m.process(None, [sample('a', [0], [2])])


@pytest.mark.parametrize('unseen', [(), 'sky'])
def test_without_unseen_classes_it_is_refused(unseen):
    with pytest.raises(UserError, match=r'expected the names of .* name them in benchmark.unseen'):
        SeenUnseenIoU(unseen=unseen)


def test_a_name_that_is_no_class():
    with pytest.raises(UserError, match="SeenUnseenIoU.unseen names 'ski'; |names 'ski', which"):
        scores_of(metric(unseen=['ski']), sample('a', [0], [0]))
