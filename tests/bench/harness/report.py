"""Tables: as TSV, as text."""
from . import tools


def write_tsv(name, columns, rows):
    tools.OUT.mkdir(parents=True, exist_ok=True)
    with (tools.OUT / name).open('w') as file:
        for row in [columns, *rows]:
            file.write('\t'.join(cell(one) for one in row) + '\n')


def read_tsv(name):
    """Rows as dictionaries; none where the file is not there."""
    try:
        lines = (tools.OUT / name).read_text().splitlines()
    except OSError:
        return []
    columns = lines[0].split('\t')
    return [dict(zip(columns, map(number, line.split('\t')))) for line in lines[1:]]


def number(text):
    try:
        return float(text)
    except ValueError:
        return text if text else None


def cell(value):
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:.0f}' if abs(value) >= 1000 else f'{value:.3g}' if abs(value) < 1 else f'{value:.2f}'
    return str(value)


def table(columns, rows):
    """Text with aligned columns: the first to the left, the others to the right."""
    cells = [[cell(one) for one in row] for row in [columns, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return '\n'.join('  '.join(one.ljust(width) if i == 0 else one.rjust(width)
                               for i, (one, width) in enumerate(zip(row, widths))).rstrip()
                     for row in cells)
