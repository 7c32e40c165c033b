"""A model that reads the names of classes predicts other classes than it was trained with."""

import copy

import pytest
import torch
import torch.nn.functional as F

from rein_seg.checkpoint.load import check_identity
from rein_seg.errors import UserError
from rein_seg.models.base import count_parameters
from rein_seg.models.open_vocabulary import with_own_classes
from tests.models.tiny import build, samples
from tests.models.words import BIAS, WORDS, row

IMAGE = torch.randn(1, 3, 32, 64, generator=torch.Generator().manual_seed(0))


def word_model(**options):
    torch.manual_seed(0)
    peft = options.pop('peft', dict(type='Frozen'))
    return build(head=dict(type='WordHead'), peft=peft, **{'text': WORDS, **options}).eval()


def scores(model):
    with torch.no_grad():
        return model.encode_decode(IMAGE)


def test_each_channel_is_the_class_of_its_name_whatever_its_place():
    model = word_model()
    trained = scores(model)
    model.set_classes(['pond', 'car', 'road'])
    other = scores(model)
    assert other.shape == (1, 3, 32, 64)
    # `car` and `road` were labelled in training, so the bias stays
    torch.testing.assert_close(other[:, 1], trained[:, 3])
    torch.testing.assert_close(other[:, 2], trained[:, 0])
    assert model.num_classes == model.out_channels == 3
    with torch.no_grad():
        x = F.normalize(model.decode_head.project(model.backbone(IMAGE).maps[-1]), dim=1)
    expected = torch.einsum('bdhw,kd->bkhw', x, row(['pond'], 8)[None])
    expected = F.interpolate(expected, size=(32, 64), mode='bilinear')  # no bias: it is new
    torch.testing.assert_close(other[:, :1], expected)


@pytest.mark.parametrize(
    ('classes', 'names', 'unseen'),
    [
        (['road', 'pond'], None, (1,)),
        (['Road', 'SKY'], None, ()),  # a tower reads lower case
        (['tram', 'car'], None, (0,)),  # training never labelled trams
        (['pond', 'lake'], None, (0, 1)),
        (['pavement', 'pond'], {'pavement': 'road'}, (1,)),  # the prompt is of a labelled class
        (['pavement', 'pond'], {'pavement': ['asphalt']}, (0, 1)),
    ],
)
def test_seen_are_the_classes_that_training_labelled(classes, names, unseen):
    model = word_model()
    model.set_classes(classes, names=names)
    assert model.text.unseen == model.decode_head.unseen == unseen
    model.set_classes(['road', 'pond'], unseen=[])
    assert model.decode_head.unseen == ()


def test_the_bias_is_on_seen_classes_alone():
    model = word_model()
    model.set_classes(['road', 'pond'])
    biased = scores(model)
    model.set_classes(['road', 'pond'], unseen=['road', 'pond'])
    torch.testing.assert_close(
        scores(model) - biased, torch.tensor([BIAS, 0])[:, None, None].expand_as(biased)
    )


@pytest.mark.parametrize(
    ('classes', 'options', 'said'),
    [
        (['road'], {}, "'road' alone.*two names or more"),
        ([], {}, 'expected a list of names'),
        ('road, sky', {}, 'expected a list of names'),
        (['road', ' '], {}, "classes name ' '"),
        (['road', 'Road'], {}, 'reads alike'),
        (['road', 'pond'], dict(unseen=['pont']), "names 'pont'.*did you mean 'pond'"),
        (['road', 'pond'], dict(names={'lake': 'water'}), "names 'lake'"),
        (['road', 'pond'], dict(names={'pond': []}), r"gives \[\] for 'pond'"),
    ],
)
def test_wrong_names_leave_the_model_as_it_was(classes, options, said):
    model = word_model()
    before = scores(model)
    with pytest.raises(UserError, match=said):
        model.set_classes(classes, **options)
    torch.testing.assert_close(scores(model), before)


def test_a_model_with_weights_for_each_class_refuses():
    model = build(peft=dict(type='Frozen'))
    with pytest.raises(
        UserError, match=r'has fixed classes, since it reads no names.*train.*zegclip'
    ):
        model.set_classes(['road', 'pond'])


def test_a_copy_has_classes_of_its_own_and_the_same_weights():
    model = word_model()
    before = scores(model)
    other = with_own_classes(model)
    other.set_classes(['pond', 'lake'])
    assert scores(other).shape[1] == 2
    torch.testing.assert_close(scores(model), before)
    assert model.text.classes == tuple(WORDS['classes'])
    shared = zip(model.parameters(), other.parameters(), strict=True)
    assert all(one is two for one, two in shared)


def test_the_identity_is_of_the_training():
    model = word_model()
    made = model.identity
    assert made['text'] == {
        'type': 'mmseg.WordTable', 'source': 'sha256:words', 'dims': 8, 'open_vocabulary': True,
    }  # fmt: skip
    model.set_classes(['road', 'pond'])
    assert model.identity == made
    assert 'text' not in build(peft=dict(type='Frozen')).identity


def test_weights_go_into_a_model_of_other_classes_but_not_of_another_table():
    made = word_model().identity
    fewer = {**WORDS, 'classes': ['road', 'tram'], 'unseen': []}
    check_identity(made, word_model(text=fewer, num_classes=2).identity, source='adapter')
    other = word_model(text={**WORDS, 'source': 'sha256:others'}).identity
    said = r"another text branch: it says text.source='sha256:words', the config gives 'sha256:o"
    with pytest.raises(UserError, match=said):
        check_identity(made, other, source='adapter')
    closed = build(peft=dict(type='Frozen')).identity
    with pytest.raises(UserError, match='another text branch'):
        check_identity(made, closed, source='adapter')


def test_other_sentences_are_told_and_taken(monkeypatch):
    said = []
    monkeypatch.setattr('rein_seg.checkpoint.load.print_log', lambda line, **_: said.append(line))
    plain = word_model().identity

    def with_text(**more):
        return {**plain, 'text': {**plain['text'], **more}}

    trained = with_text(templates=['a {}.', 'the {}.'])
    check_identity(trained, trained, source='adapter')
    assert said == []
    check_identity(trained, with_text(templates=['a photo of a {}']), source='adapter')
    assert said == [
        "adapter was trained with classes in 2 sentences; the config has ['a photo of a {}'], "
        'which are read now'
    ]
    for odd in (7, None, [], {}):  # of a file, which anyone may have written
        check_identity(with_text(templates=odd), trained, source='adapter')
    closed = dict(templates=['a {}.'], open_vocabulary=False)
    with pytest.raises(UserError, match='another text branch: it says text.open_vocabulary=False'):
        check_identity(with_text(**closed), trained, source='adapter')
    other = with_text(**{**closed, 'templates': ['b {}']})
    with pytest.raises(UserError, match='another text branch: it says text.templates='):
        check_identity(with_text(**closed), other, source='adapter')


def test_the_table_is_no_weight_and_survives_copies():
    model = word_model()
    assert not [name for name in model.state_dict() if name.startswith('text.')]
    assert count_parameters(model)['trainable'] == sum(
        p.numel() for p in model.decode_head.parameters()
    )
    again = copy.deepcopy(model)
    torch.testing.assert_close(scores(again), scores(model))


def test_a_model_with_text_trains():
    model = word_model(peft=dict(type='LoRA', rank=2)).train()
    losses = model.loss(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    losses['decode.loss_ce'].backward()
    assert model.decode_head.project.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (
            dict(head=dict(type='WordHead')),
            r"decode_head='WordHead' reads the embeddings.*set model.text=dict\(type='ClassTable'",
        ),
        (dict(text=WORDS), r"model.text='WordTable' is read by no part.*LinearHead.*ATMHead"),
        (
            dict(head=dict(type='JointHead'), text=WORDS),
            r"decode_head='JointHead' reads the space.*Transformer' does not give.*joint_dims",
        ),
        (
            dict(text=WORDS, head=dict(type='WordHead'), num_classes=3),
            'model.text.classes has 4 names, the model num_classes=3',
        ),
        (
            dict(text={**WORDS, 'unseen': ['pond']}, head=dict(type='WordHead')),
            "text.unseen names 'pond', which is no class",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named_when_the_model_is_built(options, said):
    with pytest.raises(UserError, match=said):
        build(peft=dict(type='Frozen'), **options)
