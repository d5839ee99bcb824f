"""What was measured, as a table for people and as JSON for programs."""

import dataclasses
import json
import statistics


@dataclasses.dataclass
class Figure:
    """A measured quantity: the median of its values, of one run each."""

    name: str
    unit: str
    values: list
    digits: int = 0

    @property
    def value(self):
        return statistics.median(self.values)

    def line(self):
        spread = f"{self.show(min(self.values))} - {self.show(max(self.values))}"
        return (self.name, self.show(self.value), self.unit,
                spread if len(self.values) > 1 else "")

    def show(self, value):
        return f"{value:,.{self.digits}f}"

    def as_json(self):
        return {"name": self.name, "unit": self.unit, "median": self.value, "values": self.values}


@dataclasses.dataclass
class Target:
    """A limit for a quantity: at_least or at_most."""

    name: str
    measured: float
    at_least: float = None
    at_most: float = None
    unit: str = ""
    digits: int = 2

    @property
    def is_met(self):
        if self.at_least is not None and self.measured < self.at_least:
            return False
        return self.at_most is None or self.measured <= self.at_most

    def wanted(self):
        if self.at_least is not None:
            return f">= {self.at_least:,g}"
        return f"<= {self.at_most:,g}"

    def line(self):
        return (self.name, f"{self.wanted()} {self.unit}".strip(),
                f"{self.measured:,.{self.digits}f}", "met" if self.is_met else "NOT MET")

    def as_json(self):
        return {"name": self.name, "unit": self.unit, "measured": self.measured,
                "at_least": self.at_least, "at_most": self.at_most, "met": self.is_met}


@dataclasses.dataclass
class Part:
    """The outcome of one part of the benchmark."""

    name: str
    title: str
    figures: list = dataclasses.field(default_factory=list)
    targets: list = dataclasses.field(default_factory=list)
    series: dict = dataclasses.field(default_factory=dict)  # for plots
    conditions: dict = dataclasses.field(default_factory=dict)

    def add(self, name, unit, values, digits=0):
        figure = Figure(name, unit, list(values), digits)
        self.figures.append(figure)
        return figure.value

    def target(self, name, measured, **limits):
        self.targets.append(Target(name, measured, **limits))

    def as_json(self):
        return {"title": self.title, "conditions": self.conditions,
                "figures": [figure.as_json() for figure in self.figures],
                "targets": [target.as_json() for target in self.targets], "series": self.series}

    def text(self):
        lines = [self.title, ""]
        if self.figures:
            lines += table(("", "median", "", "lowest - highest"),
                           [figure.line() for figure in self.figures], "lrlr")
        if self.targets:
            lines += ["", *table(("target", "wanted", "measured", ""),
                                 [target.line() for target in self.targets], "lrrl")]
        return "\n".join(lines) + "\n"


def table(head, rows, alignment):
    """Lines with columns; alignment has l or r for each."""
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    marks = {"l": "<", "r": ">"}
    return ["  ".join(f"{cell:{marks[mark]}{width}}" for cell, mark, width
                      in zip(row, alignment, widths)).rstrip() for row in cells]


def save(folder, part):
    """Adds a part to results.json, which keeps the parts of earlier runs."""
    path = folder / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[part.name] = part.as_json()
    path.write_text(json.dumps(results, indent=1) + "\n")
    (folder / f"{part.name}.txt").write_text(part.text())
