"""A topic tree from the corpus: passages that use the same words are a topic, named by the words that set it apart.

k-means on TF-IDF vectors, twice: topics, then subtopics within each (scikit-learn).
"""

import warnings
from collections.abc import Sequence

from hornbook.synthesis.topics import Tree

_NAMED_BY = 3  # words
_TERM = r"(?u)\b[A-Za-z][A-Za-z_]{2,}\b"


def cluster_topics(texts: Sequence[str], topics: int, subtopics: int, seed: int) -> Tree:
    """A tree of at most `topics` topics with at most `subtopics` subtopics each; the same texts give the same tree."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    least = 2 if len(texts) >= 50 else 1
    vectorizer = TfidfVectorizer(
        sublinear_tf=True, min_df=least, max_df=0.3, max_features=20_000, token_pattern=_TERM, stop_words="english"
    )
    vectors = vectorizer.fit_transform(texts)
    terms = vectorizer.get_feature_names_out()
    group = _k_means(vectors, topics, seed)
    tree: dict[str, tuple[str, ...]] = {}
    for number in np.unique(group):
        inside = vectors[group == number]
        name = _name(inside, terms, set())
        parts = _k_means(inside, subtopics, seed)
        below = (_name(inside[parts == part], terms, set(name.split(", "))) for part in np.unique(parts))
        tree[name] = tuple(dict.fromkeys([*tree.get(name, ()), *(part or name for part in below)]))
    return tree


def _k_means(vectors, count: int, seed: int):  # type: ignore[no-untyped-def]  # sparse matrix to array
    import numpy as np
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    if count == 1 or vectors.shape[0] <= count:
        return np.zeros(vectors.shape[0], int) if count == 1 else np.arange(vectors.shape[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different passages than clusters
        return MiniBatchKMeans(count, random_state=seed, n_init=3, batch_size=2048).fit_predict(vectors)


def _name(vectors, terms, taken: set[str]) -> str:  # type: ignore[no-untyped-def]
    import numpy as np

    weight = np.asarray(vectors.mean(axis=0)).ravel()
    best = [str(terms[i]) for i in np.argsort(-weight, kind="stable") if weight[i] > 0 and terms[i] not in taken]
    return ", ".join(best[:_NAMED_BY])
