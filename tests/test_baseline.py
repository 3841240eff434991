import json

import numpy as np
import pandas as pd
import pytest
from conftest import nuclei_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fathom.baselines.baseline import (
    Part,
    build_classifier,
    choose,
    classify,
    drawn,
    probability,
    write_baseline,
)
from fathom.baselines.params import Baseline, ForestGrid, LogisticGrid, SvmGrid
from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.study.nuclei import Nuclei
from fathom.study.rows import CLASSIFIERS
from fathom.study.splits import FINAL

PARAMS = Baseline(
    seed=3,
    most_nuclei=5000,
    logistic=LogisticGrid(C=(0.01, 1.0)),
    svm=SvmGrid(C=(1.0,), gamma=(0.01, 0.1)),
    forest=ForestGrid(n_estimators=(30,), max_features=(0.5,), min_samples_leaf=(10, 1)),
)
GROUPS, EACH = 9, 24  # three groups a fold in turn: tested, validated, trained on


def study(separation, seed=0):
    """Return features, nuclei and splits; the first feature differs by `separation` SD."""
    rng = np.random.default_rng(seed)
    groups = [f"g{group}" for group in range(GROUPS) for _ in range(EACH)]
    positive = np.tile([True, False], GROUPS * EACH // 2)
    features = pd.DataFrame(rng.normal(size=(len(groups), 4)), columns=list("abcd"))
    features["a"] += separation * positive
    nuclei = nuclei_of(groups, positive.tolist())
    return features, nuclei, splits_of(nuclei)


def splits_of(nuclei):
    """Return a split by hand: two outer folds and the final model's; some nuclei taken out."""
    number = nuclei.kept["slide"].str[1:].astype(int)
    tables = []
    for fold in (0, 1, FINAL):
        parts = np.select([number < 3, number < 5], ["test", "validation"], "train")
        if fold == 1:
            parts = np.select([number >= 3, number == 0], ["test", "validation"], "train")
        if fold == FINAL:
            parts = np.where(number < 3, "validation", "train")
        kept = (parts == "test") | (np.arange(len(nuclei.kept)) % 12 > 1)
        tables.append(
            pd.DataFrame(
                {"nucleus": nuclei.kept["nucleus"], "fold": fold, "part": parts, "kept": kept}
            )
        )
    return pd.concat(tables, ignore_index=True)


def auroc(predictions, nuclei, part):
    truth = nuclei.kept.set_index("nucleus")["positive"]
    rows = predictions[predictions["part"] == part]
    scores = [
        roc_auc_score(truth[fold["nucleus"]].to_numpy(dtype=bool), fold["probability"])
        for _, fold in rows.groupby("fold")
    ]
    return np.mean(scores)


@pytest.fixture(scope="module")
def learned():
    features, nuclei, splits = study(separation=3)
    return classify(features, nuclei, splits, PARAMS), nuclei, splits


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_it_learns_what_can_be_learned(learned, classifier):
    results, nuclei, _ = learned
    predictions = results[classifier].predictions
    assert auroc(predictions, nuclei, "test") > 0.95
    decided = predictions.assign(
        right=(predictions["probability"] > 0.5)
        == nuclei.kept.set_index("nucleus")["positive"][predictions["nucleus"]].to_numpy(bool)
    )
    assert decided.loc[decided["part"] == "test", "right"].mean() > 0.9


def test_it_stays_at_chance_where_there_is_nothing_to_learn():
    scores = {classifier: [] for classifier in CLASSIFIERS}
    for seed in range(4):
        features, nuclei, splits = study(separation=0, seed=seed)
        for classifier, result in classify(features, nuclei, splits, PARAMS).items():
            scores[classifier].append(auroc(result.predictions, nuclei, "test"))
    for classifier, found in scores.items():
        assert np.mean(found) == pytest.approx(0.5, abs=0.06), classifier


def test_the_prediction_table_has_the_kept_nuclei_of_every_part_of_the_outer_folds(learned):
    results, _, splits = learned
    wanted = splits[(splits["fold"] != FINAL) & splits["kept"]]
    for result in results.values():
        table = result.predictions
        assert list(table) == ["nucleus", "fold", "seed", "part", "probability"]
        assert table["probability"].dtype == np.float64
        assert table["probability"].between(0, 1).all()
        assert set(table["seed"]) == {PARAMS.seed}
        key = ["fold", "part", "nucleus"]
        pd.testing.assert_frame_equal(
            table[key].sort_values(key, ignore_index=True),
            wanted[key].sort_values(key, ignore_index=True),
            check_dtype=False,
        )


def test_test_rows_change_neither_what_is_chosen_nor_any_other_prediction():
    features, nuclei, splits = study(separation=0.7)
    splits = splits[splits["fold"] == 0]
    tested = nuclei.kept["nucleus"].isin(splits.loc[splits["part"] == "test", "nucleus"])
    other_features = features.copy()
    other_features[tested] = 1e3 * np.random.default_rng(1).normal(size=(tested.sum(), 4))
    table = nuclei.kept.assign(positive=nuclei.kept["positive"] ^ tested)
    before = classify(features, nuclei, splits, PARAMS)
    after = classify(other_features, Nuclei(nuclei.folder, table, table), splits, PARAMS)
    for classifier in CLASSIFIERS:
        assert after[classifier].chosen == before[classifier].chosen
        old, new = before[classifier].predictions, after[classifier].predictions
        seen = old["part"] != "test"
        pd.testing.assert_frame_equal(new[seen], old[seen], check_exact=True)
        assert not np.allclose(new.loc[~seen, "probability"], old.loc[~seen, "probability"])


def test_nuclei_taken_out_by_the_balancing_change_nothing():
    features, nuclei, splits = study(separation=0.7)
    splits = splits[splits["fold"] == 0]
    out = nuclei.kept["nucleus"].isin(splits.loc[~splits["kept"], "nucleus"])
    others = features.mask(out, 50.0)
    before, after = (classify(table, nuclei, splits, PARAMS) for table in (features, others))
    for classifier in CLASSIFIERS:
        pd.testing.assert_frame_equal(after[classifier].predictions, before[classifier].predictions)


def test_the_validation_part_chooses_and_the_first_wins_among_equals():
    rng = np.random.default_rng(0)

    def part(n, columns):
        positive = np.arange(n) % 2 == 0
        matrix = rng.normal(size=(n, 5))
        matrix[:, columns] += 4 * positive[:, None]
        return Part(matrix, positive)

    # gamma 1000 remembers the training part and knows nothing of the validation part.
    grid = SvmGrid(C=(1.0,), gamma=(1000.0, 0.01))
    params = PARAMS.model_copy(update={"svm": grid})
    choice = choose("svm", params, part(60, [0]), part(40, [0]))
    assert choice.hyperparameters == {"C": 1.0, "gamma": 0.01}
    assert choice.validation_auroc > 0.95
    # One feature only: every C ranks alike.
    one = Part(np.arange(40.0)[:, None], np.arange(40) > 19)
    assert choose("logistic", PARAMS, one, one).hyperparameters == {"C": 0.01}


def test_an_svm_is_ranked_by_its_own_decision_and_scaled_by_the_training_part():
    rng = np.random.default_rng(0)
    train, new = rng.normal(5, 100, (50, 3)), rng.normal(5, 100, (20, 3))
    positive = train[:, 0] > 5
    model = build_classifier("svm", {"C": 1.0, "gamma": 0.1}, seed=0).fit(train, positive)
    reference = make_pipeline(StandardScaler(), SVC(C=1.0, gamma=0.1)).fit(train, positive)
    decision = reference.decision_function(new)
    found = probability(model, new)
    np.testing.assert_array_equal(np.argsort(found), np.argsort(decision))
    np.testing.assert_array_equal(found > 0.5, reference.predict(new))


def test_the_probability_of_logistic_regression_is_its_own():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    positive = features[:, 0] + rng.normal(size=60) > 0
    model = build_classifier("logistic", {"C": 0.5}, seed=0).fit(features, positive)
    np.testing.assert_allclose(probability(model, features), model.predict_proba(features)[:, 1])
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, tol=1e-8))
    expected = plain.fit(features, positive).predict_proba(features)[:, 1]
    np.testing.assert_allclose(probability(model, features), expected, atol=1e-4)


def test_the_same_bytes_on_one_core_and_on_many(learned, tmp_path, monkeypatch):
    features, nuclei, splits = study(separation=3)
    write_baseline(tmp_path / "one", learned[0])
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    write_baseline(tmp_path / "many", classify(features, nuclei, splits, PARAMS))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["chosen.json", "forest.parquet", "logistic.parquet", "svm.parquet"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_what_was_chosen_can_be_read_by_fold(learned, tmp_path):
    write_baseline(tmp_path, learned[0])
    chosen = json.loads((tmp_path / "chosen.json").read_text(encoding="utf-8"))
    assert set(chosen) == set(CLASSIFIERS)
    for classifier, folds in chosen.items():
        assert [entry["fold"] for entry in folds] == [0, 1]
        for entry in folds:
            assert entry["validation_auroc"] > 0.9
            grid = getattr(PARAMS, classifier).model_dump()
            assert all(entry["hyperparameters"][name] in grid[name] for name in grid)


def test_only_the_forest_draws_on_the_seed(learned):
    features, nuclei, splits = study(separation=3)
    other = classify(features, nuclei, splits, PARAMS.model_copy(update={"seed": 4}))
    same = {
        classifier: np.array_equal(
            result.predictions["probability"], other[classifier].predictions["probability"]
        )
        for classifier, result in learned[0].items()
    }
    assert same == {"logistic": True, "svm": True, "forest": False}


@pytest.mark.parametrize(
    ("grids", "fault"),
    [
        ("logistic: {C: []}", r"baseline\.logistic\.C.*at least 1 item"),
        ("svm: {C: [1.0], gamma: [0]}", r"baseline\.svm\.gamma\.0' = 0"),
        ("logistic: {C: [1.0], penalty: [l1]}", r"baseline\.logistic\.penalty.*Extra inputs"),
    ],
)
def test_a_grid_with_an_unknown_or_impossible_value_is_named(tmp_path, grids, fault):
    path = tmp_path / "params.yaml"
    path.write_text(f"baseline:\n  seed: 0\n  {grids}\n", encoding="utf-8")
    with pytest.raises(FathomError, match=fault):
        read_section(Baseline, path)


def test_of_many_nuclei_svm_and_forest_are_fitted_on_a_stated_sample():
    params = PARAMS.model_copy(update={"most_nuclei": 20})
    numbered = np.arange(60.0)[:, None]
    all_of_them = Part(numbered, np.arange(60) % 2 == 0)
    for classifier in ("svm", "forest"):
        few = drawn(classifier, params, all_of_them, fold=1)
        rows = few.features[:, 0]
        assert len(set(rows)) == len(few.positive) == 20
        assert (np.diff(rows) > 0).all()
        assert (few.positive == (rows % 2 == 0)).all()
        assert (rows != drawn(classifier, params, all_of_them, fold=2).features[:, 0]).any()
    assert drawn("logistic", params, all_of_them, fold=1) is all_of_them
    assert drawn("svm", PARAMS, all_of_them, fold=1) is all_of_them
