//! Jobs that run, found by who holds them.

/// The running jobs of a worker named `w`, as a part for `cross join lateral … r`: those it said it holds, by their ids, and those it
/// claimed since then, by the index on that time. Never more than it holds and claimed in half a minute, however many jobs have
/// run on it. Comparisons with `is not distinct from` are there to tempt no index.
macro_rules! running_on_worker {
    ($columns:literal) => {
        concat!(
            "(select ",
            $columns,
            " from unnest(w.held) as h(id) join jobs j on j.id = any(array[h.id])
              where j.state is not distinct from 'processing' and j.worker_id is not distinct from w.id and j.leader_id is null
              union all
              select ",
            $columns,
            " from jobs j
              where j.state = 'processing' and j.worker_id = any(array[w.id]) and j.leader_id is null
                and j.started_at >= coalesce(w.held_since, '-infinity') and j.id <> all(coalesce(w.held, '{}')))"
        )
    };
}
pub(super) use running_on_worker;
