# SPDX-License-Identifier: Apache-2.0
"""report.py DIR: what run.sh measured, as tables in DIR/benchmarks.md and as pictures beside it."""
import json
import pathlib
import sys

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]  # Okabe and Ito's, told apart by everybody


def rows_of(folder, name):
    """(name of the row without what Google Benchmark appends, the row) of one program."""
    path = folder / f"{name}.json"
    text = path.read_text() if path.is_file() else ""
    runs = json.loads(text)["benchmarks"] if text else []  # empty where a filter left nothing
    return [("/".join(p for p in run["name"].split("/") if p not in ("real_time", "manual_time") and "iterations:" not in p), run)
            for run in runs]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def percent(row, key):
    return f"{100 * row[key]:.0f} %" if key in row else ""


def duration(row):
    microseconds = row["real_time"] * {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}[row["time_unit"]]
    return f"{microseconds / 1e3:.1f} ms" if microseconds >= 1e4 else f"{microseconds:.0f} us"


def operations(folder):
    parts = []
    for name in ["ops_gemm", "ops_attention", "ops_norm", "ops_cross_entropy"]:
        rows = [[row_name, duration(row), f"{row['GFLOP/s']:.0f}" if "GFLOP/s" in row else "", percent(row, "of_gemm_roof"),
                 f"{row['GB/s']:.1f}" if "GB/s" in row else "", percent(row, "of_bandwidth")]
                for row_name, row in rows_of(folder, name)]
        if rows:
            parts.append(table(["operation", "time", "GFLOP/s", "of the gemm roof", "GB/s", "of the bandwidth"], rows))
    return "\n".join(parts)


def steps(folder):
    rows = [[name, f"{row['tok/s']:.0f}", f"{row['GFLOP/s']:.0f}", percent(row, "share_of_gemm"),
             f"{row['over_frozen']:.3f}" if "over_frozen" in row else "", f"{row['arena_MB']:.0f}"]
            for name, row in rows_of(folder, "train_step") if "share_of_gemm" in row]
    return table(["step", "tokens/s", "GFLOP/s", "of its products' rate", "over frozen", "arena, MB"], rows)


def decoding(folder):
    rows = [[name, f"{row['tok/s']:.1f}", f"{row['GB/s']:.1f}", percent(row, "of_read_bandwidth")]
            for name, row in rows_of(folder, "train_step") if name.startswith("decode")]
    return table(["decoding", "tokens/s", "GB/s", "of the read bandwidth"], rows)


def breakdown(folder):
    kinds = ["frozen products", "head products", "adapter products", "attention", "loss", "rows", "parameters", "between"]
    rows = [[name.split("/", 1)[1]] + [percent(row, kind) for kind in kinds] for name, row in rows_of(folder, "train_breakdown")]
    return table(["step", *kinds], rows)


def chart(title, unit, series):
    """Lines over a logarithmic axis of lengths, as SVG."""
    width, height, left, bottom = 720, 400, 70, 48
    xs = sorted({x for points in series.values() for x, _ in points})
    top = max(y for points in series.values() for _, y in points) * 1.1
    place = lambda x, y: (left + xs.index(x) * (width - left - 24) / max(len(xs) - 1, 1), height - bottom - y / top * (height - bottom - 60))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#333">',
             '<rect width="100%" height="100%" fill="white"/>', f'<text x="{left}" y="22" font-size="15">{title}</text>']
    for k in range(5):
        y = top * k / 4
        parts.append(f'<line x1="{left}" x2="{width - 24}" y1="{place(xs[0], y)[1]:.1f}" y2="{place(xs[0], y)[1]:.1f}" stroke="#e4e4e4"/>'
                     f'<text x="{left - 8}" y="{place(xs[0], y)[1] + 4:.1f}" text-anchor="end">{y:.0f}</text>')
    for x in xs:
        parts.append(f'<text x="{place(x, 0)[0]:.1f}" y="{height - bottom + 18}" text-anchor="middle">{x}</text>')
    parts.append(f'<text x="{left - 8}" y="44" text-anchor="end">{unit}</text>'
                 f'<text x="{(left + width) / 2}" y="{height - 8}" text-anchor="middle">tokens of the sequence</text>')
    for k, (name, points) in enumerate(series.items()):
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(x, y) for x, y in points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[k % 4]}" stroke-width="2"/>'
                     f'<text x="{width - 30}" y="{44 + 16 * k}" text-anchor="end" fill="{COLOURS[k % 4]}">{name}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def growth(folder):
    """Pictures of the rows `length`; the table names them."""
    series = {"tok/s": {}, "arena_MB": {}}
    for name, row in rows_of(folder, "train_step"):
        if name.startswith("length/"):
            _, precision, tokens, again = name.split("/")
            label = precision + (", blocks computed again" if again == "1" else "")
            for key, lines in series.items():
                lines.setdefault(label, []).append((int(tokens), row[key]))
    if not series["tok/s"]:
        return ""
    (folder / "length_speed.svg").write_text(chart("LoRA r 8: tokens/s as a sequence grows", "tokens/s", series["tok/s"]))
    (folder / "length_memory.svg").write_text(chart("LoRA r 8: memory of a pass as a sequence grows", "MB", series["arena_MB"]))
    return "![tokens/s over the length](length_speed.svg)\n\n![memory over the length](length_memory.svg)\n"


def main():
    folder = pathlib.Path(sys.argv[1])
    parts = [("Steps", steps(folder)), ("Where a step's time goes", breakdown(folder)), ("Decoding", decoding(folder)),
             ("Growth", growth(folder)), ("Operations", operations(folder))]
    (folder / "benchmarks.md").write_text("\n".join(f"## {title}\n\n{text}" for title, text in parts if text))
    print(folder / "benchmarks.md")


main()
