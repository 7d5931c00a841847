import keras
import pytest
from keras import layers

from tlcourse.freezing import freeze, report, trainable_share, unfreeze
from tlcourse.freezing.structure import count


def test_the_totals_are_those_of_keras(classifier):
    model = classifier()
    for change in (freeze, unfreeze, lambda m: unfreeze(m, batch_norm="trainable")):
        result = change(model)
        assert result.parameters == model.count_params() == 222 + 10
        assert result.trainable == count(model.trainable_weights)
        assert result.backbone_parameters == 222


def test_the_text_is_the_same_on_every_machine(classifier):
    model = classifier()
    freeze(model, until="block1")
    assert str(report(model)) == repr(report(model))
    assert str(report(model)).splitlines() == [
        "block   parameters   share  trainable  BatchNormalization",
        "------  ----------  ------  ---------  ------------------",
        "stem            64   27.6%          0  frozen",
        "block1          66   28.4%          0  frozen",
        "top             92   39.7%         76  frozen",
        "+ head          10    4.3%         10  -",
        "all            232  100.0%         86  frozen",
        "Trainable: 86 of 232 parameters (37.1%); in the backbone 76 of 222 (34.2%).",
    ]


def test_batch_norm_is_reported_block_by_block(classifier):
    result = freeze(classifier(), until="stem", batch_norm="trainable")
    assert [row.mode for row in result.rows] == ["frozen", "moves", "moves", "-"]
    assert "2 of 3 move" in str(result)


def test_the_notebook_gets_a_table(classifier):
    page = report(classifier())._repr_html_()
    assert page.count("<tr>") == 1 + 4 + 1
    assert "<td" in page and "block1" in page


def test_weights_that_no_layer_owns_are_counted():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 1)
            self.scale = self.add_weight(shape=(1,), name="scale")

        def call(self, x):
            return self.conv(x) * self.scale

    model = Scaled()
    model(keras.ops.ones((1, 4, 4, 3)))
    assert report(model).parameters == model.count_params() == 9
    assert report(model).rows[-1].block == "weights of no layer"


def test_a_shared_layer_is_counted_once():
    inputs = keras.Input((4, 4, 3))
    conv = layers.Conv2D(3, 1, name="twice")
    model = keras.Model(inputs, conv(conv(inputs)))
    assert report(model).parameters == 12
    assert freeze(model).trainable == 0


def test_layers_are_a_poor_measure_of_resnet50():
    base = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    before = report(base)
    percent = [round(100 * trainable_share(base, f), 1) for f in (0.5, 0.7, 0.8, 0.9, 0.95)]
    assert percent == [90.8, 73.1, 63.6, 33.5, 14.5]
    assert report(base) == before
    by_layers = freeze(base, fraction=0.9, by="layers").share
    by_parameters = freeze(base, fraction=0.9).share
    assert by_parameters == pytest.approx(by_layers, abs=0.2)


def test_mobilenet_and_lite0_agree_with_keras():
    from tlcourse.models import lite

    mobile = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(96, 96, 3)
    )
    lite0 = lite.build("efficientnet-lite0", (32, 32, 3), weights=None)
    for model, parameters in ((mobile, 2_257_984), (lite0, 3_413_024)):
        result = unfreeze(model, last=1)
        assert result.parameters == model.count_params() == parameters
        assert result.trainable == count(model.trainable_weights) == 320 * 1280


@pytest.mark.parametrize("fraction", [-0.1, 1.5, 90])
def test_a_share_beyond_all_layers_is_refused(classifier, fraction):
    with pytest.raises(ValueError, match="from 0.0 to 1.0"):
        trainable_share(classifier(), fraction)


def test_the_report_counts_what_trains_although_the_base_says_nothing_does(classifier):
    model = classifier()
    base = model.get_layer("base")
    base.trainable = False
    base.get_layer("top_conv").trainable = True
    assert base.trainable_weights == []  # Keras asks the base first
    assert count(model.trainable_weights) == 76 + 10  # and the whole model asks every layer
    assert report(model).backbone_trainable == 76
