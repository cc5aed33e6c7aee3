"""The synthetic voice: speech-like, lawful, deterministic."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from emokit.corpora import acting, voice
from emokit.corpora.phones import SEGMENTS, syllables
from emokit.corpora.utterance import StandIn
from emokit.corpora.voice import RATE, synthesise

TEXT = "Kids are talking by the door"


def stand_in(emotion="neutral", speaker="s1", gender="female", text=TEXT, path="a.wav", **more):
    return StandIn(path, emotion, speaker, gender, text, **more)


def test_same_arguments_give_the_same_bits_in_any_order_and_process():
    items = [stand_in(path=f"{index}.wav", emotion=word)
             for index, word in enumerate(("anger", "fear", "calm"))]
    forwards = [synthesise(item, "emodb", 3)[0] for item in items]
    backwards = [synthesise(item, "emodb", 3)[0] for item in items[::-1]][::-1]
    for one, other in zip(forwards, backwards):
        assert np.array_equal(one, other)
    code = ("from emokit.corpora.utterance import StandIn; import hashlib;"
            "from emokit.corpora.voice import synthesise;"
            f"item = StandIn('0.wav', 'anger', 's1', 'female', {TEXT!r});"
            "print(hashlib.sha256(synthesise(item, 'emodb', 3)[0].tobytes()).hexdigest())")
    import hashlib

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == hashlib.sha256(forwards[0].tobytes()).hexdigest()


@pytest.mark.parametrize("change", [
    {"path": "b.wav"}, {"emotion": "anger"}, {"speaker": "s2"}, {"text": "Dogs are sitting"},
])
def test_path_emotion_speaker_and_text_each_change_the_sound(change):
    item = stand_in()
    one, _ = synthesise(item, "emodb", 0)
    other, _ = synthesise(dataclasses.replace(item, **change), "emodb", 0)
    assert len(one) != len(other) or not np.array_equal(one, other)


def test_seed_and_corpus_change_the_sound():
    one, _ = synthesise(stand_in(), "emodb", 0)
    for corpus, seed in (("emodb", 1), ("ravdess", 0)):
        other, _ = synthesise(stand_in(), corpus, seed)
        assert len(one) != len(other) or not np.array_equal(one, other)


@pytest.mark.parametrize("corpus, rate", [("emodb", 16_000), ("tess", 24_414), ("nemo", 24_000)])
def test_samples_are_finite_below_full_scale_and_of_the_published_rate(corpus, rate):
    for index, text in enumerate((TEXT, "a01", "", "Say the word back")):
        for emotion in ("anger", "sadness"):
            samples, given = synthesise(
                stand_in(emotion, text=text, path=f"{index}.wav"), corpus, 0)
            assert given == rate
            assert samples.dtype == np.float32 and samples.ndim == 1
            assert np.isfinite(samples).all() and np.abs(samples).max() <= 1
            assert 0.7 < len(samples) / rate < 5
            assert np.sqrt(np.mean(samples**2)) > 10 ** (-50 / 20)


def test_level_stands_out_of_the_noise_floor_by_far():
    samples, _ = synthesise(stand_in(), "emodb", 0)
    frames = samples[:len(samples) // 320 * 320].reshape(-1, 320)
    decibels = 10 * np.log10(np.mean(frames**2, axis=1))
    assert np.percentile(decibels, 90) - np.percentile(decibels, 5) > 20


def test_equal_words_give_equal_phones_and_other_words_others():
    assert syllables("say the word back")[:3] == syllables("Say the word home")[:3]
    assert syllables("Say the word back") != syllables("Say the word home")
    assert syllables("a01") == syllables("a01") != syllables("b02")


@pytest.mark.parametrize("text", ["", "x", "a01", TEXT, "word " * 60, "Zażółć gęślą jaźń", "好 吗"])
def test_any_text_has_a_sayable_number_of_syllables_of_known_phones(text):
    spoken = syllables(text)
    assert 4 <= sum(syllable != ("pause",) for syllable in spoken) <= 12
    assert {phone for syllable in spoken for phone in syllable} <= set(SEGMENTS)


def means(emotion, corpus="emodb", n=60):
    """Mean controls over many speakers and utterances of an emotion."""
    rows = []
    for index in range(n):
        item = stand_in(emotion, speaker=f"s{index % 12}", path=f"{index}.wav")
        speaker = acting.speaker(corpus, item.speaker, item.gender, None, 0)
        rng = np.random.default_rng(index)
        rows.append(acting.controls(item, corpus, speaker, 0, rng))
    return {name: np.mean([row[name] for row in rows]) for name in acting.CONTROLS}


def test_directions_of_the_literature_hold_on_average():
    anger, sadness, happiness = means("anger"), means("sadness"), means("happiness")
    neutral, fear = means("neutral"), means("fear")
    assert anger["loudness"] > neutral["loudness"] + 2 > sadness["loudness"] + 4
    assert anger["tilt"] > neutral["tilt"] > sadness["tilt"]
    assert sadness["rate"] < neutral["rate"] < fear["rate"]
    assert sadness["breath"] > neutral["breath"]
    assert happiness["range"] > neutral["range"] > sadness["range"]
    assert fear["pitch"] > neutral["pitch"] + 2


def test_accents_differ_between_corpora_but_keep_the_direction():
    here, there = means("anger", "emodb"), means("anger", "crema_d")
    assert abs(here["pitch"] - there["pitch"]) > 0.1
    for corpus in ("emodb", "ravdess", "nemo", "crema_d", "tess"):
        gap = means("anger", corpus)["loudness"] - means("sadness", corpus)["loudness"]
        assert gap > 2, corpus


def test_intensity_moves_an_utterance_away_from_neutral():
    speaker = acting.speaker("emodb", "s1", "female", None, 0)

    def loudness(intensity):
        item = stand_in("anger", intensity=intensity)
        return acting.controls(item, "emodb", speaker, 0, np.random.default_rng(0))["loudness"]

    assert loudness(1.0) > loudness(0.5) > loudness(0.0)


def test_an_unknown_word_gets_a_stable_mixture_of_the_table():
    rows = np.array(list(acting.EMOTIONS.values()))
    controls = acting.emotion_controls("schadenfreude")
    assert np.array_equal(controls, acting.emotion_controls("schadenfreude"))
    assert not np.array_equal(controls, acting.emotion_controls("awe"))
    assert (controls >= 1.3 * rows.min(0) - 1e-9).all()
    assert (controls <= 1.3 * rows.max(0) + 1e-9).all()


def fundamental(samples, low=60, high=500):
    """Median pitch in Hz by autocorrelation of the loud frames, a second way from the formula."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 800)[::400]
    frames = frames[np.mean(frames**2, 1) > 0.3 * np.max(np.mean(frames**2, 1))]
    pitches = []
    for frame in frames:
        spectrum = np.fft.rfft(frame - frame.mean(), 2048)
        correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:800] / np.arange(800, 0, -1)
        lags = slice(RATE // high, RATE // low)
        pitches.append(RATE / (RATE // high + np.argmax(correlation[lags])))
    return float(np.median(pitches))


def test_women_speak_higher_than_men():
    pitches = {
        gender: np.median([
            fundamental(synthesise(stand_in(speaker=f"{gender}{index}", gender=gender,
                                            path=f"{index}.wav"), "emodb", 0)[0])
            for index in range(6)
        ])
        for gender in ("female", "male")
    }
    assert 80 < pitches["male"] < 165 < pitches["female"] < 300


def test_a_vowel_peaks_at_its_formants_and_zero_hertz_has_gain_one():
    response = np.abs(voice._tract(np.array([[500.0, 1500.0, 2500.0]]), 1.0))[0]
    frequencies = np.fft.rfftfreq(512, 1 / RATE)
    assert response[0] == pytest.approx(1, abs=1e-4)
    peaks = frequencies[1:-1][(response[1:-1] > response[:-2]) & (response[1:-1] > response[2:])]
    assert np.abs(peaks[:3] - [500, 1500, 2500]).max() < 40
    # Klatt 1980, eq. 2: the resonator at its centre, others far away, against the plain recursion
    pole = np.exp(-np.pi * 70 / RATE + 2j * np.pi * 500 / RATE)
    single = abs((1 - pole) * (1 - pole.conjugate()) / (
        (1 - pole * np.exp(-2j * np.pi * 500 / RATE))
        * (1 - pole.conjugate() * np.exp(-2j * np.pi * 500 / RATE))))
    assert single == pytest.approx(500 / 70, rel=0.05)
    assert response[np.argmin(np.abs(frequencies - 500))] == pytest.approx(single, rel=0.25)


def test_pulses_hold_no_harmonic_above_the_limit():
    wave = voice._pulse(11, 20)
    spectrum = np.abs(np.fft.rfft(wave))
    assert spectrum[21:].max() < 1e-4 * spectrum[1:21].max()
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(1, rel=1e-3)


def test_overlapping_frames_rebuild_what_no_filter_changed():
    samples = np.random.default_rng(0).standard_normal(128 * 40).astype(np.float32)
    rebuilt = voice._overlap_add(voice._short_spectra(samples))
    # the first hop lies under one window only
    assert np.allclose(rebuilt[128:], samples[128:], atol=1e-4)


def test_classes_overlap_but_a_linear_model_beats_chance_on_new_speakers():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    words = ("anger", "fear", "happiness", "neutral", "sadness")
    features, truth, speakers = [], [], []
    for speaker in range(12):
        for word in words:
            for take in range(3):
                samples, _ = synthesise(
                    stand_in(word, f"s{speaker}", ("female", "male")[speaker % 2],
                             path=f"{speaker}{word}{take}.wav"), "ravdess", 0)
                frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::200]
                power = np.abs(np.fft.rfft(frames * np.hanning(400), 512))[:, :256] ** 2
                bands = np.log(power.reshape(len(frames), 32, 8).sum(2) + 1e-8)
                features.append(np.concatenate([bands.mean(0), bands.std(0)]))
                truth.append(word)
                speakers.append(speaker)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=300))
    prediction = cross_val_predict(model, np.array(features), truth, groups=speakers,
                                   cv=GroupKFold(4))
    recall = np.mean(prediction == np.array(truth))  # balanced, so UAR = WA
    assert 0.4 < recall < 0.9
