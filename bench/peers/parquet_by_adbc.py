"""Writes the table lineitem as Parquet: parquet_by_adbc.py DATABASE FILE. Prints the number of rows."""

import sys

import adbc_driver_postgresql.dbapi
import pyarrow.parquet

database, file = sys.argv[1:]
rows = 0
with adbc_driver_postgresql.dbapi.connect(database) as connection, connection.cursor() as cursor:
    cursor.execute("select * from lineitem")
    batches = cursor.fetch_record_batch()
    with pyarrow.parquet.ParquetWriter(file, batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
print(rows)
