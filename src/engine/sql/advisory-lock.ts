import type { DataSource } from 'typeorm'

/**
 * Does `work` under a PostgreSQL advisory lock if no other process holds it; the lock goes with the connection that holds
 * it, so a dead process holds nothing. False: another process holds it.
 */
export async function tryWithAdvisoryLock(
  database: DataSource,
  lock: number,
  work: () => Promise<void>,
): Promise<boolean> {
  const runner = database.createQueryRunner()
  try {
    const [row] = (await runner.query('SELECT pg_try_advisory_lock($1) AS held', [lock])) as {
      held: boolean
    }[]
    if (!row?.held) return false
    try {
      await work()
      return true
    } finally {
      await runner.query('SELECT pg_advisory_unlock($1)', [lock]).catch(() => undefined)
    }
  } finally {
    await runner.release()
  }
}
