"""The plots, as SVG, drawn by gnuplot from what was measured."""

import re
import subprocess

STYLE = """
set terminal svg size 900,{height} dynamic font 'sans-serif,14' background '#ffffff'
set output '{output}'
set style line 1 lc rgb '#2a6f97' lw 2
set border 3 lc rgb '#888888'
set tics nomirror
set grid {grid} lc rgb '#dddddd' lt 1
"""
COLOURS = ("#2a6f97", "#e07a5f", "#3d8f6b", "#8f6bb3", "#c9a227", "#777777", "#b33951")


def gnuplot(script):
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("_", "\\\\_") + '"'


def block(name, rows):
    """Data inside of the script, so that nothing lies about."""
    lines = "\n".join(" ".join(str(cell) for cell in row) for row in rows)
    return f"${name} << END\n{lines}\nEND\n"


def draw_bars(output, title, figures, unit):
    """A horizontal bar for each figure, with its lowest and highest value."""
    rows = [(i, figure.value, min(figure.values), max(figure.values), quoted(figure.name),
             quoted(figure.show(figure.value))) for i, figure in enumerate(figures)]
    script = STYLE.format(height=90 + 30 * len(rows), output=output, grid="xtics")
    script += block("bars", rows) + f"""
set title {quoted(title)}
set xlabel {quoted(unit)}
set format x "%'.0f"
set xrange [0:*]
set yrange [{len(rows) - 0.5}:-0.5]
set offsets 0, graph 0.12, 0, 0
set style fill solid
plot $bars using (0):1:(0):2:($1-0.3):($1+0.3):ytic(5) with boxxyerror lc rgb '{COLOURS[0]}' notitle, \\
     $bars using 2:1:3:4 with xerrorbars pt -1 lc rgb '#222222' notitle, \\
     $bars using 4:1:6 with labels left offset 1,0 notitle
"""
    gnuplot(script)


def draw_latencies(output, title, series):
    """For each case, the share of the messages that had arrived, by milliseconds."""
    script = STYLE.format(height=480, output=output, grid="xtics ytics")
    curves = []
    for i, (name, latencies) in enumerate(series.items()):
        count = len(latencies)
        script += block(f"s{i}", [(max(ms, 0.01), (k + 1) / count)
                                  for k, ms in enumerate(latencies)])
        curves.append(f"$s{i} using 1:2 with steps lw 2 lc rgb '{COLOURS[i % len(COLOURS)]}' "
                      f"title {quoted(name)}")
    script += f"""
set title {quoted(title)}
set xlabel "milliseconds from commit to consumer"
set ylabel "share of the messages"
set logscale x
set yrange [0:1]
set key outside below
plot {", ".join(curves)}
"""
    gnuplot(script)


def draw_speed(output, title, series):
    """Rows a second over the time."""
    script = STYLE.format(height=400, output=output, grid="xtics ytics")
    curves = []
    for i, (name, samples) in enumerate(series.items()):
        script += block(f"s{i}", samples)
        curves.append(f"$s{i} using 1:2 with lines lw 2 lc rgb '{COLOURS[i]}' "
                      f"title {quoted(name)}")
    script += f"""
set title {quoted(title)}
set xlabel "seconds"
set ylabel "rows/s"
set format y "%'.0f"
set yrange [0:*]
plot {", ".join(curves)}
"""
    gnuplot(script)


def draw(folder, part):
    """The plot of a part, if it has one."""
    output = folder / f"{part.name}.svg"
    if part.name in ("throughput", "peers"):
        draw_bars(output, part.title, [f for f in part.figures if f.unit == "rows/s"], "rows/s")
    elif part.name == "latency":
        draw_latencies(output, part.title, part.series)
    elif part.name == "backlog":
        draw_speed(output, part.title, part.series)
    else:
        return
    text = re.sub(r"[ \t]+$", "", output.read_text(), flags=re.MULTILINE)
    output.write_text(text)
