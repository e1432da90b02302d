"""What happens beside the log: the late queue by message, recounts, series changed by late readings, the fuse."""

from itertools import groupby
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables and packs what waits in the late queue."""
    op.add_column("progress", sa.Column("history_step", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("progress", sa.Column("late_until", sa.BigInteger(), server_default="-1", nullable=False))
    op.add_column("progress", sa.Column("late_slot", sa.Integer(), server_default="0", nullable=False))
    op.add_column("rejected_reading", sa.Column("retried_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "fuse",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("blown_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("topic", name="fuse_pkey"),
    )
    op.create_table(
        "recount",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("topology_before", sa.Integer(), nullable=False),
        sa.Column("topology_after", sa.Integer(), nullable=False),
        sa.Column("windows", sa.BigInteger(), nullable=False),
        sa.Column("next_slot", sa.Integer(), server_default="0", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "log_offset", name="recount_pkey"),
    )
    op.create_table(
        "series_memory",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("history_step", sa.BigInteger(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "slot", name="series_memory_pkey"),
    )
    _pack_late_queue()


def _pack_late_queue() -> None:
    queue = op.create_table(
        "late_queue",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "log_offset", "position", name="late_queue_pkey"),
    )
    waiting = op.get_bind().execute(
        sa.text(
            "SELECT partition, log_offset, position, slot, ts_s, value, version FROM late_reading"
            " ORDER BY partition, log_offset, position"
        )
    )
    for (partition, log_offset), group in groupby(waiting, key=lambda row: (row[0], row[1])):
        rows = list(group)
        columns: list[tuple[int, ...]] = list(zip(*(tuple(row)[2:] for row in rows), strict=True))
        packed = b"".join(
            np.array(column, dtype).tobytes()
            for column, dtype in zip(columns, ("<i4", "<i4", "<i8", "<i8", "<i4"), strict=True)
        )
        row: dict[str, Any] = {
            "partition": partition,
            "log_offset": log_offset,
            "position": columns[0][0],
            "readings": len(rows),
            "content": packed,
        }
        op.get_bind().execute(queue.insert().values(row))
    op.drop_table("late_reading")
