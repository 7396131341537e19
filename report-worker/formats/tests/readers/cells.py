"""Reads a workbook by openpyxl and prints the cells of each sheet as JSON.

    cells.py FILE

The answer is {sheet: [[cell, ...], ...]}. A cell is null or {"type", "value", "format", "align", "fits", "link"}: the type as openpyxl
calls it (n, s, b, d, f), the value as text, the number format, how it stands, whether it is shown whole, and where it leads.
"""

import json
import sys

import openpyxl


def told(cell):
    if cell.value is None:
        return None
    return {
        "type": cell.data_type,
        "value": str(cell.value),
        "format": cell.number_format,
        "align": cell.alignment.horizontal,
        "fits": bool(cell.alignment.shrink_to_fit),
        "link": cell.hyperlink.target if cell.hyperlink else None,
    }


def main():
    book = openpyxl.load_workbook(sys.argv[1])
    sheets = {sheet.title: [[told(cell) for cell in row] for row in sheet.iter_rows()] for sheet in book.worksheets}
    json.dump(sheets, sys.stdout)


main()
