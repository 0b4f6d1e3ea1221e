"""DiscreteTreeFlow: seconds and bytes of every operation, and the likelihood that they buy."""

from .common import SETS, flow, load


class Fit:
    """Learning ten layers."""

    params = SETS
    param_names = ("dataset",)
    timeout = 300

    def setup(self, dataset):
        """Load the table."""
        self.rows, k = load(dataset)
        self.flow = flow(dataset, k)

    def time_fit(self, dataset):
        """Seconds."""
        self.flow.fit(self.rows)

    def peakmem_fit(self, dataset):
        """Bytes of the whole process."""
        self.flow.fit(self.rows)

    def track_train_nll(self, dataset):
        """Nats per row."""
        return -self.flow.fit(self.rows).train_score_[-1]

    track_train_nll.unit = "nats"


class Apply:
    """A fitted flow at work on test rows."""

    params = SETS
    param_names = ("dataset",)
    timeout = 300

    def setup(self, dataset):
        """Fit."""
        rows, k = load(dataset)
        self.rows, _ = load(dataset, "test")
        self.flow = flow(dataset, k).fit(rows)
        self.codes = self.flow.transform(self.rows)

    def time_transform(self, dataset):
        """Seconds."""
        self.flow.transform(self.rows)

    def time_inverse_transform(self, dataset):
        """Seconds."""
        self.flow.inverse_transform(self.codes)

    def time_score_samples(self, dataset):
        """Seconds."""
        self.flow.score_samples(self.rows)

    def time_sample(self, dataset):
        """Seconds for 10,000 rows."""
        self.flow.sample(10_000, random_state=0)

    def peakmem_transform(self, dataset):
        """Bytes of the whole process."""
        self.flow.transform(self.rows)

    def peakmem_inverse_transform(self, dataset):
        """Bytes of the whole process."""
        self.flow.inverse_transform(self.codes)

    def peakmem_score_samples(self, dataset):
        """Bytes of the whole process."""
        self.flow.score_samples(self.rows)

    def peakmem_sample(self, dataset):
        """Bytes of the whole process."""
        self.flow.sample(10_000, random_state=0)

    def track_lookups(self, dataset):
        """Rows x columns x layers that transform passes in a second."""
        from timeit import repeat

        seconds = sorted(repeat(lambda: self.flow.transform(self.rows), number=1, repeat=9))[4]
        return self.rows.size * len(self.flow.layers_) / seconds

    track_lookups.unit = "look-ups/s"

    def track_test_nll(self, dataset):
        """Nats per row."""
        return -self.flow.score(self.rows)

    track_test_nll.unit = "nats"


class Growth:
    """Fit seconds against rows and columns."""

    params = ([10_000, 100_000], [50, 200])
    param_names = ("n_rows", "n_columns")

    def setup(self, n_rows, n_columns):
        """Draw a table."""
        from .scaling import draw

        self.rows, k = draw(n_rows, n_columns)
        self.flow = flow("drawn", k, min_samples_split=n_rows // 20)

    def time_fit(self, n_rows, n_columns):
        """Seconds."""
        self.flow.fit(self.rows)
