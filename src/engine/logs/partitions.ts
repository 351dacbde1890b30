import type { Queryable } from '../sql/queryable.js'

/** Weeks for which there is a partition ahead of time: a process makes them at its start and then every ten minutes. */
const WEEKS_AHEAD = 8

const CREATE = `
  DO $$ DECLARE week date; BEGIN
    FOR n IN 0..${WEEKS_AHEAD} LOOP
      week := date_trunc('week', now())::date + 7 * n;
      EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF log_chunk FOR VALUES FROM (%L) TO (%L)',
                     'log_chunk_from_' || to_char(week, 'YYYYMMDD'), week, week + 7);
    END LOOP;
  END $$`

const MISSING = `SELECT to_regclass('log_chunk_from_' || to_char(date_trunc('week', now())::date + 7 * ${WEEKS_AHEAD}, 'YYYYMMDD'))
                 IS NULL AS missing`

/** Makes this week's partition of the log and those of the next weeks. Call it under a lock that others take as well. */
export async function createLogPartitions(database: Queryable): Promise<void> {
  // The look costs nothing; the creation would wait for whoever reads a log, and make all others wait.
  const rows = await database.query<{ missing: boolean }[]>(MISSING)
  if (rows[0]?.missing) await database.query(CREATE)
}

/**
 * Drops partitions of which every log began more than `days` ago and has ended, and gives how many. A deployment keeps
 * its record; its log then has an end and no text.
 */
export async function dropLogPartitions(database: Queryable, days: number): Promise<number> {
  const rows = await database.query<{ name: string }[]>(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'log_chunk'::regclass AND c.relname ~ '^log_chunk_from_\\d{8}$'
        AND to_date(right(c.relname, 8), 'YYYYMMDD') + 7 <= (now() - make_interval(days => $1))::date
        -- What waits or works for weeks still writes, and to the week in which its log began.
        AND NOT EXISTS (SELECT 1 FROM log_stream s
                         WHERE s.end_status IS NULL AND s.log_day >= to_date(right(c.relname, 8), 'YYYYMMDD')
                           AND s.log_day < to_date(right(c.relname, 8), 'YYYYMMDD') + 7)`,
    [days],
  )
  for (const { name } of rows) await database.query(`DROP TABLE ${name}`)
  return rows.length
}
