"""Which class each of a corpus's words becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emokit.core.errors import ConfigError, ManifestError
from emokit.corpora.labels import absent_classes, assign_classes, soft_label
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.words import CANONICAL, VERSION, canonical, class_word, normalise

LINES = {("classes",): "corpora.yaml:3", ("merge",): "corpora.yaml:4",
         ("merge", "calm"): "corpora.yaml:5", ("drop",): "corpora.yaml:6",
         ("emotions",): "corpora.yaml:7"}


def ravdess(**choices):
    return CorpusSpec(name="ravdess", parser="ravdess", lines=LINES, **choices)


def own(**choices):
    return CorpusSpec(name="mine", format="csv", lines=LINES, **choices)


WORDS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]


@pytest.mark.parametrize("word, expected", [
    ("Angry", "anger"), ("joy", "happiness"), ("pleasant surprise", "surprise"),
    ("FEARFUL", "fear"), ("Hot-Anger", "hot_anger"), ("A", None), ("F", None), ("hap", None),
])
def test_words_are_known_in_all_their_forms_and_codes_are_not(word, expected):
    assert canonical(word) == expected


def test_canonical_words_are_their_own_canonical_words():
    assert [canonical(word) for word in CANONICAL] == list(CANONICAL)
    assert VERSION >= 1
    assert CANONICAL[:8] == ("anger", "boredom", "disgust", "fear", "happiness", "neutral",
                             "sadness", "surprise")


@given(st.text(min_size=1))
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


def test_letters_of_any_script_stay():
    assert class_word("生气") == "生气"
    assert class_word("गुस्सा") == "गुस्सा"
    assert class_word("COLE\u0300RE") == "colère"


def test_default_classes_follow_the_parser():
    order, mapping = assign_classes(ravdess(), reversed(WORDS))
    assert order == ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust",
                     "surprise")
    assert mapping["fearful"] == "fear" and None not in mapping.values()


def test_label_order_ignores_row_order_and_repetition():
    spec = own()
    assert assign_classes(spec, ["b", "a", "c"]) == assign_classes(spec, ["c", "a", "a", "b"])


def test_absent_classes_are_left_out_and_reported():
    spec = ravdess()
    assert assign_classes(spec, ["happy", "sad"])[0] == ("happiness", "sadness")
    assert absent_classes(spec, ["happy", "sad"]) == (
        "neutral", "calm", "anger", "fear", "disgust", "surprise")


def test_classes_restrict_and_order():
    spec = ravdess(classes=["anger", "sad", "happiness"])
    order, mapping = assign_classes(spec, WORDS)
    assert order == ("anger", "sadness", "happiness")
    assert mapping["calm"] is None and mapping["angry"] == "anger"
    assert absent_classes(spec, ["angry", "happy"]) == ("sadness",)


def test_merge_and_drop():
    order, mapping = assign_classes(ravdess(merge={"calm": "neutral"}, drop=["disgust"]), WORDS)
    assert mapping["calm"] == "neutral" and mapping["disgust"] is None
    assert order == ("neutral", "happiness", "sadness", "anger", "fear", "surprise")


def test_merge_may_name_the_canonical_word_and_make_a_class():
    _, mapping = assign_classes(ravdess(merge={"fear": "tense", "Angry": "tense"}), WORDS)
    assert mapping["fearful"] == mapping["angry"] == "tense"


def test_merging_a_word_nobody_says_here_is_no_error():
    assert assign_classes(ravdess(merge={"calm": "neutral"}), ["happy", "sad"])[0] == (
        "happiness", "sadness")


@pytest.mark.parametrize("choices, message", [
    ({"classes": ["anger", "happines"]},
     r"corpora.yaml:3: 'ravdess' has no class 'happines'. Did you mean 'happiness'"),
    ({"classes": ["anger", "angry"]}, r"corpora.yaml:3: 'classes' .* lists 'anger' twice"),
    ({"merge": {"clam": "neutral"}}, r"corpora.yaml:4: 'merge' names 'clam'.*mean 'calm'"),
    ({"merge": {"fear": "tense", "fearful": "anger"}},
     r"'fearful' is merged into both 'tense' and 'anger'"),
    ({"drop": ["boredom"]}, r"corpora.yaml:6: 'drop' names 'boredom'"),
    ({"drop": ["sad", "sad"]}, r"corpora.yaml:6: 'drop' of 'ravdess' lists 'sad' twice"),
    ({"drop": ["calm"], "merge": {"calm": "neutral"}}, r"'calm' stands in both"),
])
def test_wrong_choices_are_named_with_their_line(choices, message):
    with pytest.raises(ConfigError, match=message):
        assign_classes(ravdess(**choices), WORDS)


def test_nothing_left_is_an_error():
    with pytest.raises(ManifestError, match="no utterance of 'ravdess' is left"):
        assign_classes(ravdess(classes=["calm"]), ["happy", "sad"])


def test_codes_of_a_list_mean_what_the_user_says():
    spec = own(emotions={"F": "happy", "A": "fear", "N": "neutral"})
    order, mapping = assign_classes(spec, ["N", "F", "A"])
    assert order == ("happiness", "fear", "neutral")
    assert mapping == {"N": "neutral", "F": "happiness", "A": "fear"}


def test_uncovered_codes_are_an_error_until_dropped():
    with pytest.raises(ManifestError, match=r"corpora.yaml:7: .*2 labels mean: 'x', 'y'"):
        assign_classes(own(emotions={"F": "happy"}), ["F", "x", "y"])
    spec = own(emotions={"F": "happy"}, drop=["x", "y"])
    assert assign_classes(spec, ["F", "x", "y"])[1] == {"F": "happiness", "x": None, "y": None}


def test_two_words_never_become_one_class_silently():
    with pytest.raises(ManifestError, match=r"'happy', 'joy' .* 'merge: \{happy: happiness, joy"):
        assign_classes(own(), ["joy", "happy", "sad"])
    spec = own(merge={"joy": "happiness", "happy": "happiness"})
    assert assign_classes(spec, ["joy", "happy", "sad"])[0] == ("happiness", "sadness")


def test_spellings_of_one_word_are_one_word():
    assert assign_classes(own(), ["Angry", "angry"])[0] == ("anger",)


def test_soft_labels_follow_merging_and_dropping():
    _, mapping = assign_classes(
        CorpusSpec(name="crema_d", parser="crema_d", merge={"fear": "anger"}, drop=["neutral"]),
        ["anger", "disgust", "fear", "happiness", "neutral", "sadness"])
    extra = {"text": "x", "p_anger": 0.2, "p_fear": 0.2, "p_neutral": 0.5, "p_sadness": 0.1}
    assert soft_label(mapping, extra) == pytest.approx(
        {"text": "x", "p_anger": 0.8, "p_sadness": 0.2}, abs=1e-12)
    assert soft_label(mapping, {"p_neutral": 1.0}) == {}


def test_agreement_is_with_the_merged_class():
    merged = {"happy": "happiness", "excited": "happiness", "sad": "sadness", "other": None}
    votes = {"p_happy": 1 / 3, "p_excited": 1 / 3, "p_sad": 1 / 3, "agreement": 1 / 3}
    assert soft_label(merged, votes, "excited") == {
        "agreement": 0.666667, "p_happiness": 0.666667, "p_sadness": 0.333333}
    # a class of one word keeps what the parser says
    assert soft_label(merged, votes, "sad")["agreement"] == 1 / 3
    # what fell on dropped words is disagreement still
    assert soft_label(merged, {"p_happy": 0.5, "p_other": 0.5, "agreement": 0.5}, "happy") == {
        "agreement": 0.5, "p_happiness": 1.0}
    # one rater named two words: she agrees, although half of her vote lies elsewhere
    assert soft_label(merged, {"p_happy": 0.5, "p_sad": 0.5, "agreement": 1.0},
                      "happy")["agreement"] == 1.0
    # without votes nobody knows
    assert soft_label(merged, {"agreement": 0.6, "text": "a"}, "happy") == {"text": "a"}
    assert soft_label(merged, {"agreement": 0.6}, "sad") == {"agreement": 0.6}
    # a code and the class it means are one word
    assert soft_label({"A": "anger"}, {"p_anger": 0.7, "agreement": 0.6}, "A")["agreement"] == 0.6


def test_soft_labels_have_six_digits():
    shares = soft_label({"a": "a", "b": "b"}, {"p_a": 0.1, "p_b": 0.7 + 0.1 + 0.1})
    assert [repr(share) for share in shares.values()] == ["0.1", "0.9"]


def test_soft_labels_in_the_corpus_words_are_renamed():
    _, mapping = assign_classes(ravdess(), ["happy", "sad"])
    assert soft_label(mapping, {"p_happy": 0.5, "p_sad": 0.5, "p_angry": 0.0}) == {
        "p_happiness": 0.5, "p_sadness": 0.5}
