"""Charts as SVG, without a library."""
import html
import math

from . import tools

STYLE = ('<style>text{font:12px sans-serif;fill:#222}.t{font-size:15px;font-weight:bold}'
         '.a{fill:#444;font-size:11px}@media(prefers-color-scheme:dark){svg{background:#fff}}</style>')
COLOURS = ['#c0392b', '#2c3e50', '#2980b9', '#27ae60', '#8e44ad', '#d68910', '#16a085', '#7f8c8d']


def save(name, width, height, parts):
    tools.OUT.mkdir(parents=True, exist_ok=True)
    (tools.OUT / name).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}">{STYLE}<rect width="100%" height="100%" fill="#fff"/>'
        + ''.join(parts) + '</svg>\n')


def text(x, y, words, kind='', anchor='start'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f'{html.escape(str(words))}</text>')


def bars(name, title, groups):
    """Horizontal bars by group: {group: [(label, value)]}; what is above the scale is cut and says
    so."""
    groups = {group: sorted(rows, key=lambda row: row[1]) for group, rows in groups.items() if rows}
    if not groups:
        return
    # the scale is made for those who compete: eight times the least
    top = max(8 * rows[0][1] for rows in groups.values())
    parts, y, left, width = [text(16, 26, title, 't')], 46, 150, 520
    for group, rows in groups.items():
        y += 12
        parts.append(text(16, y + 11, group, 't'))
        y += 20
        for label, value in rows:
            length = min(value, top) / top * width
            colour = COLOURS[0] if label == 'anygate' else '#b8c4ce' if 'floor' in label else COLOURS[2]
            parts += [text(left - 8, y + 12, label, anchor='end'),
                      f'<rect x="{left}" y="{y}" width="{length:.1f}" height="15" fill="{colour}"/>',
                      text(left + length + 6, y + 12, f'{value:.1f}' + (' (cut)' if value > top else ''), 'a')]
            y += 19
    save(name, left + width + 110, y + 16, parts)


def ticks(low, high, is_log):
    if is_log:
        return [10 ** power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    step = 10 ** math.floor(math.log10(high or 1))
    step = next(one for one in (step / 5, step / 2, step, step * 2) if high / one <= 6)
    return [step * i for i in range(int(high / step) + 2)]


def short(value):
    for limit, unit in ((1 << 20, 'Mi'), (1 << 10, 'Ki')):
        if value >= limit and value % limit == 0:
            return f'{value // limit:g}{unit}'
    return f'{value:g}'


def lines(name, title, x_name, y_name, series, log_y=False):
    """Lines over a logarithmic x: {label: [(x, y)]}."""
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points if y]
    if len(xs) < 2 or not ys:
        return
    left, top, width, height = 70, 44, 560, 280
    y_ticks = ticks(min(ys), max(ys), log_y)

    def x_of(x):
        low, high = math.log(max(1, xs[0])), math.log(max(2, xs[-1]))
        return left + width * (math.log(max(1, x)) - low) / (high - low)

    def y_of(y):
        if log_y:
            low, high = math.log10(y_ticks[0]), math.log10(y_ticks[-1])
            return top + height * (1 - (math.log10(max(y, y_ticks[0])) - low) / (high - low))
        return top + height * (1 - y / y_ticks[-1])

    parts = [text(16, 24, title, 't'), text(left + width / 2, top + height + 38, x_name, 'a', 'middle'),
             text(16, top - 6, y_name, 'a')]
    for y in y_ticks:
        parts += [f'<path d="M{left} {y_of(y):.1f}h{width}" stroke="#ddd"/>',
                  text(left - 6, y_of(y) + 4, f'{y:g}', 'a', 'end')]
    for x in xs:
        parts.append(text(x_of(x), top + height + 18, short(x), 'a', 'middle'))
    for i, (label, points) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = ' '.join(f'{x_of(x):.1f},{y_of(y):.1f}' for x, y in points)
        parts += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                  *(f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>' for x, y in points),
                  f'<rect x="{left + width + 16}" y="{top + 20 * i}" width="14" height="4" fill="{colour}"/>',
                  text(left + width + 36, top + 6 + 20 * i, label)]
    save(name, left + width + 190, top + height + 52, parts)
