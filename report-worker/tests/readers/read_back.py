"""Reads report files by programs that share nothing with their writer, and prints what they found as one line of JSON.

    read_back.py FOLDER

The answer is {program: {file: {"names": [...], "rows": [[cell, ...], ...]}}}. A cell is null or [kind, text]. The kinds: text,
number, bool, day (days since 1970-01-01), time (microseconds since 1970-01-01T00:00:00).
"""

import csv
import datetime
import decimal
import json
import pathlib
import re
import sys

import duckdb
import openpyxl
import pyarrow
import pyarrow.parquet

EPOCH = datetime.datetime(1970, 1, 1)


def number(value):
    if isinstance(value, decimal.Decimal):
        return ["number", format(value, "f") if value.is_finite() else str(value)]
    return ["number", repr(value)]


def cell(value):
    """Names the kind of a Python value."""
    if value is None:
        return None
    if isinstance(value, bool):
        return ["bool", "true" if value else "false"]
    if isinstance(value, (int, float, decimal.Decimal)):
        return number(value)
    if isinstance(value, str):
        return ["text", value]
    if isinstance(value, datetime.datetime):
        return ["time", str((value - EPOCH) // datetime.timedelta(microseconds=1))]
    raise TypeError(f"nobody expects {value!r}")


def by_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, strict=True))
    return {"names": rows[0], "rows": [[["text", text] for text in row] for row in rows[1:]]}


def by_json(path):
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == "", "the last line ends"
    rows = [json.loads(line, parse_int=decimal.Decimal, parse_float=decimal.Decimal) for line in lines]
    return {"names": list(rows[0]), "rows": [[cell(value) for value in row.values()] for row in rows]}


def by_pyarrow(path):
    table = pyarrow.parquet.read_table(path)
    columns = []
    for column in table.columns:
        kind = column.type
        if pyarrow.types.is_date32(kind):
            days = column.cast(pyarrow.int32()).to_pylist()
            columns.append([None if day is None else ["day", str(day)] for day in days])
        elif pyarrow.types.is_timestamp(kind):
            assert kind.unit == "us", kind
            times = column.cast(pyarrow.int64()).to_pylist()
            columns.append([None if time is None else ["time", str(time)] for time in times])
        else:
            columns.append([cell(value) for value in column.to_pylist()])
    return {"names": table.column_names, "rows": [list(row) for row in zip(*columns)]}


def unescaped(value):
    """Undoes what openpyxl leaves as it is: control characters as _xHHHH_."""
    if not isinstance(value, str):
        return value
    return re.sub("_x(00[01][0-9A-F])_", lambda code: chr(int(code[1], 16)), value)


def by_openpyxl(path):
    book = openpyxl.load_workbook(path, read_only=True)
    rows = [[cell(unescaped(value)) for value in row] for row in book.worksheets[0].iter_rows(values_only=True)]
    return {"names": [cell[1] for cell in rows[0]], "rows": rows[1:]}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def by_duckdb(source):
    """Has DuckDB tell days and times as numbers: Python's own begin with the year 1."""
    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    described = database.execute(f"describe select * from {source}").fetchall()
    names, wanted, kinds = [], [], []
    for name, kind, *_ in described:
        names.append(name)
        if kind == "DATE":
            wanted.append(f"{quoted(name)} - date '1970-01-01'")
            kinds.append("day")
        elif kind.startswith("TIMESTAMP"):
            wanted.append(f"epoch_us({quoted(name)})")
            kinds.append("time")
        else:
            wanted.append(quoted(name))
            kinds.append(None)
    rows = []
    for row in database.execute(f"select {', '.join(wanted)} from {source}").fetchall():
        pairs = zip(row, kinds)
        rows.append([[kind, str(value)] if kind and value is not None else cell(value) for value, kind in pairs])
    return {"names": names, "rows": rows}


def by_duckdb_csv(path):
    options = "header=true, strict_mode=true, nullstr='', allow_quoted_nulls=false, auto_detect=false"
    with open(path, newline="", encoding="utf-8") as file:
        names = next(csv.reader(file))
    columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in names) + "}"
    more = "delim=',', quote='\"', escape='\"', max_line_size=10000000"
    return by_duckdb(f"read_csv('{path}', columns={columns}, {options}, {more})")


def by_duckdb_parquet(path):
    return by_duckdb(f"read_parquet('{path}')")


PROGRAMS = {
    "python csv": (".csv", by_csv),
    "duckdb csv": (".csv", by_duckdb_csv),
    "python json": (".jsonl", by_json),
    "pyarrow": (".parquet", by_pyarrow),
    "duckdb parquet": (".parquet", by_duckdb_parquet),
    "openpyxl": (".xlsx", by_openpyxl),
}


def main():
    csv.field_size_limit(sys.maxsize)
    folder = pathlib.Path(sys.argv[1])
    found = {}
    for program, (suffix, read) in PROGRAMS.items():
        paths = sorted(folder.glob(f"*{suffix}"))
        found[program] = {path.stem: read(path) for path in paths}
    json.dump(found, sys.stdout)


main()
