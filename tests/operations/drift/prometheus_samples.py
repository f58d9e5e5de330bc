"""Read a textfile by Prometheus' own parser."""

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "convergent_migrations_"

Samples = dict[tuple[str, ...], float]


def parse_samples(text: str) -> Samples:
    """Return each sample by the metric's name and its labels' values; all are gauges with a HELP."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        assert (family.type, bool(family.documentation)) == ("gauge", True)
        for sample in family.samples:
            samples[sample.name.removeprefix(PREFIX), *sample.labels.values()] = sample.value
    return samples
